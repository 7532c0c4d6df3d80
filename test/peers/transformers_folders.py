"""What transformers and PEFT make of model folders, and folders as they save them.

Reads a JSON command a line and answers each with a line of JSON, {"error": "..."} where it fails:

{"op": "open", "folder", "class", "inputs": {...}}              outputs of the model, and every complaint on the way
{"op": "tokenize", "folder", "texts", "pairs"?}                 ids of each text as the folder's tokenizer frames it
{"op": "classify", "folder", "texts", "pairs"?, "class"?}       logits of a batch that is padded
{"op": "adapt", "base", "labels", "adapter", "folder", "texts"} logits of the base with PEFT's adapter, tokens as in folder
{"op": "save", "folder", "class", "config": {...}, "inputs"?, "own_head"?, "tokenizer"?, "halves"?}
        writes a model of random weights, with an output layer that its config says is tied where own_head is true, and
        of numbers that bfloat16 has where halves is true
{"op": "random_lora", "folder", "class", "config": {...}, "adapter", "lora": {...}, "inputs"}
        writes such a model and, beside it, an adapter of random numbers; outputs of both together
{"op": "with_lora", "folder", "class", "adapter", "inputs"}      outputs of a model with PEFT's adapter
"""

import json
import logging
import sys
import warnings

import torch
import transformers

complaints = []


class Collect(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


for name in ("transformers", "peft", "huggingface_hub", "py.warnings"):
    logger = logging.getLogger(name)
    logger.handlers = [Collect(level=logging.WARNING)]
    logger.propagate = False
logging.captureWarnings(True)
warnings.simplefilter("always")
for own_business in (FutureWarning, DeprecationWarning):  # of one library towards the other
    warnings.simplefilter("ignore", own_business)
transformers.utils.logging.disable_progress_bar()


def load(folder, class_name):
    model, info = getattr(transformers, class_name).from_pretrained(folder, output_loading_info=True)
    found = {key: sorted(map(str, value)) for key, value in info.items() if value}
    complaints.extend(f"{key}: {value}" for key, value in found.items())
    return model.eval()


def outputs_of(model, inputs):
    with torch.no_grad():
        out = model(**{key: torch.tensor(value) for key, value in inputs.items()})
    names = ("logits", "prediction_logits", "seq_relationship_logits", "last_hidden_state", "image_embeds", "text_embeds")
    return {name: out[name].flatten().tolist() for name in names if out.get(name) is not None}


def open_folder(command):
    return outputs_of(load(command["folder"], command["class"]), command["inputs"])


def frame(command, **options):
    tokenizer = transformers.AutoTokenizer.from_pretrained(command["folder"])
    texts = [command["texts"]] + ([command["pairs"]] if "pairs" in command else [])
    return tokenizer(*texts, **options)


def tokenize(command):
    return {"ids": frame(command)["input_ids"]}


def classify(command):
    model = load(command["folder"], command.get("class", "AutoModelForSequenceClassification"))
    inputs = dict(frame(command, padding=True))
    if "MultipleChoice" in type(model).__name__:
        inputs = {key: [value] for key, value in inputs.items()}
    return outputs_of(model, inputs)


def adapt(command):
    import peft

    kind = transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(command["base"], num_labels=command["labels"])
    inputs = dict(frame(command, padding=True))
    model.config.pad_token_id = transformers.AutoConfig.from_pretrained(command["folder"]).pad_token_id
    tokens = len(transformers.AutoTokenizer.from_pretrained(command["folder"]))
    if tokens > model.config.vocab_size:
        model.resize_token_embeddings(tokens)
    complaints.clear()  # of the base, which has no head
    model = peft.PeftModel.from_pretrained(model, command["adapter"])
    return outputs_of(model.eval(), inputs)


def save(command):
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(**command["config"])
    model = getattr(transformers, command["class"])(config)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.1
    if command.get("halves"):
        for parameter in model.parameters():
            parameter.data = parameter.data.bfloat16().float()
    if command.get("own_head"):
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(torch.randn_like(head.weight) * 0.1)
    model.eval().save_pretrained(command["folder"])
    if "tokenizer" in command:
        tokenizer = transformers.AutoTokenizer.from_pretrained(command["tokenizer"])
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
        tokenizer.save_pretrained(command["folder"])
    return outputs_of(model, command["inputs"]) if "inputs" in command else {}



def random_lora(command):
    import peft

    save(command)
    model = load(command["folder"], command["class"])
    model = peft.get_peft_model(model, peft.LoraConfig(**command["lora"]))
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter) * 0.1
    model.eval().save_pretrained(command["adapter"])
    complaints.clear()
    return outputs_of(model, command["inputs"])


def with_lora(command):
    import peft

    model = load(command["folder"], command["class"])
    return outputs_of(peft.PeftModel.from_pretrained(model, command["adapter"]).eval(), command["inputs"])


operations = {"open": open_folder, "tokenize": tokenize, "classify": classify, "adapt": adapt, "save": save}
operations |= {"random_lora": random_lora, "with_lora": with_lora}

for line in sys.stdin:
    complaints.clear()
    command = json.loads(line)
    try:
        answer = operations[command["op"]](command)
    except Exception as error:  # the test says which command it was
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({**answer, "complaints": list(complaints)}), flush=True)
