"""Tiny random encoders of the kinds that the transformers library knows and this project reads, with two heads each.

Run it with transformers 5 and PyTorch 2 (scripts/peers.mjs makes such an environment): python encoders.py [name ...]
"""

import sys
from pathlib import Path

import torch
from decoders import saved
from recorder import token_ids, write_json
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification

BATCH, TIME, VOCABULARY = 2, 9, 29
LENGTHS = [9, 6]
FIXTURES = Path(__file__).parent.parent / "fixtures" / "encoders"

BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "initializer_range": 0.3,
}
KINDS: dict[str, dict[str, object]] = {
    "roberta": {**BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1},
    "xlm-roberta": {**BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, "hidden_act": "relu"},
    "distilbert": {
        "vocab_size": VOCABULARY, "dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 20, "max_position_embeddings": 16,
        "initializer_range": 0.3, "pad_token_id": 0,
    },
    "modernbert": {
        "vocab_size": VOCABULARY, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 4,
        "num_attention_heads": 4, "max_position_embeddings": 16, "initializer_range": 0.3, "local_attention": 4,
        "pad_token_id": 0, "classifier_pooling": "mean",
        "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2,
    },
    "electra": {**BERT, "embedding_size": 12, "pad_token_id": 0},
}
HEADS = {"words": AutoModelForMaskedLM, "classifier": AutoModelForSequenceClassification}


def record(kind: str, head: str) -> str:
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **KINDS[kind])
    config._attn_implementation = "eager"
    if head == "classifier":
        config.num_labels = 3
    model = HEADS[head].from_config(config).float().eval()
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        # Gains and biases start as ones and zeros; none may stay where a mistake would not be seen.
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    written, weights = saved(model)
    pad = config.pad_token_id
    ids = 3 + token_ids(BATCH, TIME, below=VOCABULARY - 3)
    mask = (torch.arange(TIME)[None] < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.where(mask.bool(), ids, pad)
    logits = model(input_ids=ids, attention_mask=mask).logits
    if head == "words":
        targets = torch.where((torch.arange(TIME)[None] % 3 == 1) & mask.bool(), (ids * 7) % VOCABULARY, -100)
    else:
        targets = torch.tensor([2, 0])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=-100)
    loss.backward()
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    _, gradients = saved(model)
    folder = FIXTURES / f"{kind}-{head}"
    folder.mkdir(parents=True, exist_ok=True)
    written.pop("transformers_version", None)
    write_json(folder / "config.json", written)
    save_file({key: value.float().contiguous() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    recorded = {"input_ids": ids.int(), "lengths": torch.tensor(LENGTHS).int(), "targets": targets.int(), "logits": logits.detach(), "loss": loss.detach()}
    recorded |= {f"gradient.{key}": value.float().contiguous() for key, value in gradients.items()}
    save_file(recorded, folder / "recorded.safetensors")
    return f"{kind}-{head}: loss {float(loss):.4f}, {sorted(weights)[:3]}"


if __name__ == "__main__":
    for kind in sys.argv[1:] or KINDS:
        for head in HEADS:
            print(record(kind, head))
