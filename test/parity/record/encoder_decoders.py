"""Tiny random encoder-decoders of the kinds that the transformers library knows and this project reads.

Run it with transformers 5 and PyTorch 2 (scripts/peers.mjs makes such an environment): python encoder_decoders.py [name ...]

PyTorch leaves out what the decoder's input says of the row that stands for padding (`padding_idx`), which is also where
Marian's decoder starts from; here every row learns, so that row is an ordinary one in the recordings too.
"""

import sys
from pathlib import Path

import torch
from decoders import saved
from recorder import token_ids, write_json
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM

BATCH, TIME, TARGET_TIME, VOCABULARY = 3, 9, 7, 29
LENGTHS, TARGET_LENGTHS = [9, 6, 8], [7, 7, 4]
NEW_TOKENS = 10
FIXTURES = Path(__file__).parent.parent / "fixtures" / "encoder-decoders"

SHAPE = {
    "vocab_size": VOCABULARY, "d_model": 24, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 20, "decoder_ffn_dim": 20, "max_position_embeddings": 16,
    "init_std": 0.3, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "bart": ("bart", {**SHAPE, "decoder_start_token_id": 2, "forced_eos_token_id": 2, "forced_bos_token_id": 0}),
    "marian": ("marian", {**SHAPE, "decoder_start_token_id": 1, "forced_eos_token_id": 2, "scale_embedding": True, "activation_function": "swish"}),
    "transformer": ("marian", {**SHAPE, "decoder_start_token_id": 1, "forced_eos_token_id": None, "activation_function": "relu"}),
    "mbart": ("mbart", {**SHAPE, "decoder_start_token_id": 2, "forced_eos_token_id": 2, "scale_embedding": True}),
    "pegasus": ("pegasus", {**SHAPE, "decoder_start_token_id": 1, "forced_eos_token_id": 2, "activation_function": "relu"}),
    "mt5": ("mt5", {
        "vocab_size": VOCABULARY, "d_model": 24, "d_kv": 5, "d_ff": 20, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
        "relative_attention_max_distance": 8, "relative_attention_num_buckets": 8, "pad_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 1, "initializer_factor": 0.5,
    }),
}


def written(model, ids, mask) -> dict[str, torch.Tensor]:
    """Texts that greedy and beam search write, padded with -1, and the scores of the latter."""
    options = {"max_new_tokens": NEW_TOKENS, "renormalize_logits": True, "do_sample": False}
    found = {}
    for beams, penalty in ((1, 1.0), (3, 1.0), (4, 0.0), (3, 2.0)):
        out = model.generate(
            input_ids=ids, attention_mask=mask, num_beams=beams, return_dict_in_generate=True, output_scores=True,
            **options, **({"length_penalty": penalty} if beams > 1 else {}),
        )
        texts = torch.full((BATCH, NEW_TOKENS), -1)
        for row, sequence in enumerate(out.sequences[:, 1:]):
            kept = [token for token in sequence.tolist() if token != 1]
            kept = kept[: kept.index(2)] if 2 in kept else kept
            texts[row, : len(kept)] = torch.tensor(kept)
        name = f"beams-{beams}-penalty-{penalty:g}"
        found[f"{name}.texts"] = texts.int()
        if beams > 1:
            found[f"{name}.scores"] = out.sequences_scores
    return found


def lengths_of(searches: dict[str, torch.Tensor]) -> set[int]:
    return {int(n) for key, texts in searches.items() if key.endswith("texts") for n in (texts >= 0).sum(1)}


def record(name: str) -> str:
    """Of random models the first whose texts end at several lengths."""
    for seed in range(2, 12):
        model, ids, mask = random_model(name, seed)
        searches = written(model, ids, mask)
        if len(lengths_of(searches)) >= 3:
            break
    return record_model(name, model, ids, mask, searches)


def random_model(name: str, seed: int):
    kind, keys = KINDS[name]
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **keys)
    config._attn_implementation = "eager"
    model = AutoModelForSeq2SeqLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(4)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    for path, parameter in model.named_parameters():
        if "embed_positions" in path and kind in ("marian", "pegasus"):
            continue
        # Gains and biases start as ones and zeros, padding as zeros; none may stay where a mistake would not be seen.
        if parameter.dim() == 1 or "shared" in path:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias += torch.randn(model.final_logits_bias.shape, generator=generator)
        model.final_logits_bias[0, config.eos_token_id] += 1.5
    ids = 3 + token_ids(BATCH, TIME, below=VOCABULARY - 3)
    mask = (torch.arange(TIME)[None] < torch.tensor(LENGTHS)[:, None]).long()
    model.generation_config.bad_words_ids = [[config.pad_token_id]]
    model.generation_config.forced_bos_token_id = keys.get("forced_bos_token_id")
    return model, torch.where(mask.bool(), ids, config.pad_token_id), mask


def record_model(name: str, model, ids, mask, searches) -> str:
    config, kind = model.config, KINDS[name][0]
    config_written, weights = saved(model)
    labels = 3 + token_ids(BATCH, TARGET_TIME, below=VOCABULARY - 3)
    labels = torch.where(torch.arange(TARGET_TIME)[None] < torch.tensor(TARGET_LENGTHS)[:, None], labels, -100)
    # As every class but MBart's moves labels by itself; that one starts from the language, which is behind its labels.
    moved = torch.cat([torch.full((BATCH, 1), config.decoder_start_token_id), labels[:, :-1]], 1)
    moved = torch.where(moved < 0, config.pad_token_id, moved)
    out = model(input_ids=ids, attention_mask=mask, decoder_input_ids=moved, labels=labels)
    out.loss.backward()
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    _, gradients = saved(model)
    fixed = ["final_logits_bias"] + (["embed_positions"] if kind in ("marian", "pegasus") else [])
    gradients = {key: value for key, value in gradients.items() if not any(part in key for part in fixed)}
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    config_written.pop("transformers_version", None)
    write_json(folder / "config.json", config_written)
    ids_of = ("decoder_start_token_id", "eos_token_id", "pad_token_id", "forced_bos_token_id", "forced_eos_token_id", "bad_words_ids")
    said = {key: getattr(model.generation_config, key, None) for key in ids_of}
    write_json(folder / "generation_config.json", {key: value for key, value in said.items() if value is not None})
    save_file({key: value.float().contiguous() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    recorded = {
        "input_ids": ids.int(), "lengths": torch.tensor(LENGTHS).int(), "targets": labels.int(), "logits": out.logits.detach(),
        "loss": out.loss.detach(), **searches,
    }
    recorded |= {f"gradient.{key}": value.float().contiguous() for key, value in gradients.items()}
    save_file({key: value.contiguous() for key, value in recorded.items()}, folder / "recorded.safetensors")
    return f"{name}: loss {out.loss.item():.4f}, texts of {sorted(lengths_of(searches))} tokens, {len(gradients)} gradients"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or KINDS:
        print(record(name))
