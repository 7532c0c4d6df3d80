"""One tiny random model of every family of decoders that the transformers library knows and this project reads.

Folders are those that the library itself saves, so names, packing and config keys are what people have. Run it with
transformers 5 and PyTorch 2 (scripts/peers.mjs makes such an environment): python decoders.py [name ...]
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from recorder import next_tokens, token_ids, write_json
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

BATCH, TIME, VOCABULARY = 2, 11, 29
FIXTURES = Path(__file__).parent.parent / "fixtures" / "decoders"

LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "initializer_range": 0.3,
}
NEOX = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
GPT = {"vocab_size": VOCABULARY, "initializer_range": 0.3}

CASES: dict[str, tuple[str, dict[str, object]]] = {
    "llama": ("llama", {**LLAMA, "attention_bias": True, "mlp_bias": True}),
    "llama-yarn": (
        "llama",
        {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 4}},
    ),
    "mistral": ("mistral", {**LLAMA, "head_dim": 8, "sliding_window": 4}),
    "mixtral": ("mixtral", {**LLAMA, "num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": 5}),
    "qwen2": ("qwen2", {**LLAMA, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}),
    "qwen3": ("qwen3", {**LLAMA, "head_dim": 8, "tie_word_embeddings": True}),
    "qwen3-moe": (
        "qwen3_moe",
        {**LLAMA, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "mlp_only_layers": [0]},
    ),
    "gemma": ("gemma", {**LLAMA, "head_dim": 8}),
    "gemma2": (
        "gemma2",
        {**LLAMA, "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5},
    ),
    "gemma3": ("gemma3_text", {**LLAMA, "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 6, "num_hidden_layers": 3,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    "smollm3": ("smollm3", {**LLAMA, "num_hidden_layers": 3, "no_rope_layers": [1, 0, 1]}),
    "phi": ("phi", {**LLAMA, "num_key_value_heads": 4, "hidden_size": 32, "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}}),
    "phi3": ("phi3", {**LLAMA, "sliding_window": 5}),
    "phi3-long": (
        "phi3",
        {**LLAMA, "original_max_position_embeddings": 8, "rope_parameters": {"rope_type": "longrope", "rope_theta": 100.0,
            "short_factor": [1.0, 1.5, 2.0], "long_factor": [1.5, 2.0, 3.0], "original_max_position_embeddings": 8, "partial_rotary_factor": 1.0}},
    ),
    "gpt-neox": ("gpt_neox", {**NEOX, "hidden_size": 32, "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.25}}),
    "gpt-neox-serial": ("gpt_neox", {**NEOX, "hidden_size": 32, "use_parallel_residual": False, "attention_bias": False}),
    "gptj": ("gptj", {**GPT, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    "gpt-neo": (
        "gpt_neo",
        {**GPT, "max_position_embeddings": 16, "hidden_size": 24, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4},
    ),
    "opt": ("opt", {**GPT, "hidden_size": 24, "ffn_dim": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 16,
        "word_embed_proj_dim": 24, "init_std": 0.3, "dropout": 0.0}),
    "opt-after": ("opt", {**GPT, "hidden_size": 24, "ffn_dim": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 16,
        "word_embed_proj_dim": 24, "init_std": 0.3, "dropout": 0.0, "do_layer_norm_before": False}),
    "bloom": ("bloom", {**GPT, "hidden_size": 24, "n_layer": 2, "n_head": 6}),
    "falcon": ("falcon", {**NEOX, "intermediate_size": None, "ffn_hidden_size": 20, "multi_query": True}),
    "falcon-new": ("falcon", {**NEOX, "intermediate_size": None, "ffn_hidden_size": 20, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-alibi": ("falcon", {**NEOX, "intermediate_size": None, "ffn_hidden_size": 20, "multi_query": False, "alibi": True, "parallel_attn": False, "bias": True}),
    "olmo": ("olmo", LLAMA),
    "olmo2": ("olmo2", LLAMA),
    "olmo3": ("olmo3", {**LLAMA, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}),
    "stablelm": ("stablelm", {**LLAMA, "hidden_size": 32, "use_qkv_bias": True}),
    "stablelm-parallel": ("stablelm", {**LLAMA, "hidden_size": 32, "use_parallel_residual": True}),
    "starcoder2": ("starcoder2", {**LLAMA, "sliding_window": 4}),
    "cohere": ("cohere", {**LLAMA, "logit_scale": 0.25}),
    "cohere2": ("cohere2", {**LLAMA, "head_dim": 8, "logit_scale": 0.25, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}),
    "granite": ("granite", {**LLAMA, "embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.4, "logits_scaling": 2.0}),
}


def saved(model: torch.nn.Module) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """config.json and weights as the library writes them."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        return config, load_file(Path(folder) / "model.safetensors")


def record(name: str) -> str:
    kind, settings = CASES[name]
    settings = {key: value for key, value in settings.items() if value is not None}
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **settings)
    # Falcon's eager attention adds its slopes twice.
    config._attn_implementation = "sdpa" if getattr(config, "alibi", False) else "eager"
    # The gradient of a padding token would be left out, and the others are beyond so small a vocabulary.
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        # Gains and biases start as ones and zeros; none may stay where a mistake would not be seen.
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    written, weights = saved(model)
    ids = token_ids(BATCH, TIME, below=VOCABULARY)
    targets = next_tokens(ids)
    logits = model(input_ids=ids).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    loss.backward()
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    _, gradients = saved(model)
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    written.pop("transformers_version", None)
    write_json(folder / "config.json", written)
    save_file({key: value.float().contiguous() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    recorded = {"input_ids": ids.int(), "targets": targets.int(), "logits": logits.detach(), "loss": loss.detach()}
    recorded |= {f"gradient.{key}": value.float().contiguous() for key, value in gradients.items()}
    save_file(recorded, folder / "recorded.safetensors")
    return f"{name}: loss {float(loss):.4f}, {sum(value.numel() for value in weights.values())} numbers"


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        print(record(case))
