"""Records a tiny folder in the manner of Llama 2, and what `transformers` makes of it.

    python3 test/parity/record/folders/llama2.py

Needs torch, transformers and tokenizers. The folder has what such folders surprise readers with: `<s>` before every text
by the template of tokenizer.json, a space that is put before a text and dropped from it, bytes for what has no piece, an
embedding with more rows than there are tokens, two tokens that end a text, one of which only tokenizer_config.json names,
and a chat template without generation tags.
"""

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

FOLDER = Path(__file__).parent.parent.parent / "fixtures" / "llama2-folder"
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
TEXTS = ["Hi", "hello world", " two  spaces", "naïve ☃", "line\nline", "<s>Hi", "Hi</s>", "", "the<|end|> end"]
TALK = [("user", "hello"), ("assistant", "Yo, world"), ("user", "the end?"), ("assistant", "Yes")]
SEED = 1221  # of weights with which the greedy text begins with a space and ends at the second end
PAIR = {"prompt": "hello", "chosen": "Yo", "rejected": "world"}


def make_tokenizer() -> Tokenizer:
    merges = ["▁ t", "h e", "▁t he", "▁ w", "o r", "l d", "▁w or", "▁wor ld", "▁ Y", "▁Y o", "l l", "he ll", "hell o", "▁ hello", "▁ ▁"]
    pairs = [tuple(merge.split(" ")) for merge in merges]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [*"▁abcdefghijklmnopqrstuvwxyzYHTINS.,!?/[]", *("".join(pair) for pair in pairs)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = [AddedToken(token, special=True, normalized=False) for token in ("<unk>", "<s>", "</s>")]
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s>:0 $A:0", pair="<s>:0 $A:0 <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def write_folder() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    size = max(tokenizer.get_vocab().values()) + 1
    written = json.loads(tokenizer.to_str())
    # Only tokenizer_config.json names the second end, as many folders do with what was added later.
    (FOLDER / "tokenizer.json").write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {size: {"content": "<|end|>", "special": True, "normalized": False}},
        "chat_template": TEMPLATE,
    }
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    torch.manual_seed(SEED)
    shape = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    ids = dict(bos_token_id=1, eos_token_id=2)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=336, max_position_embeddings=96, initializer_range=0.5, **shape, **ids)
    )
    model.generation_config.eos_token_id = [2, size]
    model.save_pretrained(FOLDER)


def answer_places(tokenizer, talk: list[dict]) -> tuple[list[int], list[int]]:
    """Ids of a conversation, and which of them hold characters of the assistant's turns, end mark included."""
    text = tokenizer.apply_chat_template(talk, tokenize=False)
    spans, done = [], 0
    for i, message in enumerate(talk):
        before = tokenizer.apply_chat_template(talk[:i], tokenize=False) if i else ""
        after = tokenizer.apply_chat_template(talk[: i + 1], tokenize=False)
        if message["role"] == "assistant":
            spans.append((len(before), len(after)))
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = [
        i
        for i, (start, end) in enumerate(encoding["offset_mapping"])
        if any(start < to and end > start_of for start_of, to in spans)
    ]
    return encoding["input_ids"], places


def log_probs(model, ids: list[int]) -> torch.Tensor:
    logits = model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
    return logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


@torch.no_grad()
def record() -> dict:
    tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), AutoModelForCausalLM.from_pretrained(FOLDER)
    spare = [i for i in range(model.config.vocab_size) if i not in set(tokenizer.get_vocab().values())]
    talk = [dict(role=role, content=content) for role, content in TALK]
    ids, places = answer_places(tokenizer, talk)
    prompt = tokenizer("Hi", return_tensors="pt")
    generated = model.generate(**prompt, do_sample=False, max_new_tokens=24, suppress_tokens=spare)[0].tolist()
    new = generated[prompt["input_ids"].shape[1] :]
    whole = tokenizer.decode(generated, skip_special_tokens=True)
    start = tokenizer.decode(prompt["input_ids"][0], skip_special_tokens=True)
    asked = tokenizer.apply_chat_template(talk[:3], tokenize=False)
    paired = {}
    for answer in ("chosen", "rejected"):
        own = [dict(role="user", content=PAIR["prompt"]), dict(role="assistant", content=PAIR[answer])]
        pair_ids, pair_places = answer_places(tokenizer, own)
        paired[answer] = float(log_probs(model, pair_ids)[torch.tensor(pair_places) - 1].sum())
    scored = tokenizer("hello world")["input_ids"]
    return {
        "spare": spare,
        "texts": [
            {
                "text": text,
                "ids": tokenizer(text, add_special_tokens=False)["input_ids"],
                "bounded": tokenizer(text)["input_ids"],
                "decoded": tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]),
            }
            for text in TEXTS
        ],
        "generated": {"ids": new, "text": whole[len(start) :], "finish": "length" if len(new) == 24 else "stop"},
        "scored": {"text": "hello world", "ids": scored, "logProbs": log_probs(model, scored).tolist()},
        "continued": {"context": "hello", "continuation": " world", "logProb": float(log_probs(model, scored)[1:].sum())},
        "talk": {
            **{"messages": talk, "ids": ids, "answers": places},
            "prompt": tokenizer(asked, add_special_tokens=False)["input_ids"],
            "loss": float(-log_probs(model, ids)[torch.tensor(places) - 1].mean()),
        },
        "pair": {**PAIR, "logps": paired},
    }


if __name__ == "__main__":
    write_folder()
    (FOLDER / "recorded.json").write_text(json.dumps(record(), ensure_ascii=False, indent=1) + "\n")
