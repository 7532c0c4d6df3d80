"""Llama and Mixtral: rotary positions, grouped queries and SwiGLU, dense or with routed experts.

Touvron et al. (2023), "LLaMA: Open and efficient foundation language models"; Ainslie et al. (2023), "GQA"; Jiang et
al. (2024), "Mixtral of experts"; Fedus et al. (2022), "Switch transformers", equation 4, for the balance of loads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recorder import STEPS, ModelFixture, initialise, next_tokens, token_ids

BATCH, TIME = 3, 12

Config = dict[str, object]


class RmsNorm(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config["hidden_size"]))
        self.epsilon = config["rms_norm_eps"]

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


def rotate(x: Tensor, theta: float) -> Tensor:
    """Rotary positions on [batch, heads, time, headDim]; dimension i turns with dimension i + headDim / 2."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = (torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * frequencies).to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.head_dim = config["hidden_size"], config["head_dim"]
        self.groups = config["num_attention_heads"] // config["num_key_value_heads"]
        self.theta = config["rope_theta"]
        self.q_proj = nn.Linear(width, config["num_attention_heads"] * self.head_dim, bias=False)
        self.k_proj = nn.Linear(width, config["num_key_value_heads"] * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, config["num_key_value_heads"] * self.head_dim, bias=False)
        self.o_proj = nn.Linear(config["num_attention_heads"] * self.head_dim, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        time = x.shape[1]
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, self.theta), rotate(k, self.theta)
        k, v = (shared.repeat_interleave(self.groups, dim=1) for shared in (k, v))
        hidden = ~torch.ones(time, time, dtype=torch.bool).tril()
        scores = (q @ k.transpose(-2, -1) * self.head_dim**-0.5).masked_fill(hidden, float("-inf"))
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config["hidden_size"], config["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(config["hidden_size"], config["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(config["intermediate_size"], config["hidden_size"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Expert(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.w1 = nn.Linear(config["hidden_size"], config["intermediate_size"], bias=False)
        self.w2 = nn.Linear(config["intermediate_size"], config["hidden_size"], bias=False)
        self.w3 = nn.Linear(config["hidden_size"], config["intermediate_size"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Experts(nn.Module):
    """Each token goes to its best experts, weighted by their probabilities, which are made to sum to 1."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.chosen = config["num_experts_per_tok"]
        self.gate = nn.Linear(config["hidden_size"], config["num_local_experts"], bias=False)
        self.experts = nn.ModuleList(Expert(config) for _ in range(config["num_local_experts"]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture, and the router's logits [batch · time, experts]."""
        tokens = x.flatten(0, 1)
        logits = self.gate(tokens)
        weights, indices = logits.softmax(-1).topk(self.chosen, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        mixture = torch.zeros_like(tokens)
        for j, expert in enumerate(self.experts):
            rows, places = (indices == j).nonzero(as_tuple=True)
            mixture = mixture.index_add(0, rows, expert(tokens[rows]) * weights[rows, places, None])
        return mixture.view_as(x), logits


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        if "num_local_experts" in config:
            self.block_sparse_moe = Experts(config)
        else:
            self.mlp = Mlp(config)
        self.input_layernorm = RmsNorm(config)
        self.post_attention_layernorm = RmsNorm(config)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = x + self.self_attn(self.input_layernorm(x))
        inner = self.post_attention_layernorm(x)
        if hasattr(self, "mlp"):
            return x + self.mlp(inner), None
        mixture, router_logits = self.block_sparse_moe(inner)
        return x + mixture, router_logits


class Body(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RmsNorm(config)

    def forward(self, input_ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, router_logits = self.embed_tokens(input_ids), []
        for layer in self.layers:
            x, logits = layer(x)
            router_logits += [] if logits is None else [logits]
        return self.norm(x), router_logits


def load_balance_loss(router_logits: list[Tensor], chosen: int) -> Tensor:
    """Experts times Σ over experts of (share of tokens sent there) · (mean probability), over all layers together."""
    logits = torch.cat(router_logits)
    experts = logits.shape[-1]
    probabilities = logits.softmax(-1)
    sent = F.one_hot(probabilities.topk(chosen, dim=-1).indices, experts).to(logits.dtype).sum(1).mean(0)
    return experts * (sent * probabilities.mean(0)).sum()


class CausalLm(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)

    def forward(self, input_ids: Tensor, targets: Tensor) -> dict[str, Tensor]:
        hidden, router_logits = self.model(input_ids)
        logits = self.lm_head(hidden)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        if not router_logits:
            return {"logits": logits, "loss": loss}
        balance = load_balance_loss(router_logits, self.config["num_experts_per_tok"])
        return {
            "logits": logits,
            "router_logits": torch.stack(router_logits),
            "next_token_loss": loss,
            "load_balance_loss": balance,
            "loss": loss + self.config["router_aux_loss_coef"] * balance,
        }


LLAMA_CONFIG: Config = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 6,
    "hidden_act": "silu",
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 34,
    "max_position_embeddings": 32,
    "mlp_bias": False,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "use_cache": True,
    "vocab_size": 95,
}

MIXTRAL_CONFIG: Config = {
    "model_type": "mixtral",
    "architectures": ["MixtralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 6,
    "hidden_act": "silu",
    "hidden_size": 18,
    "initializer_range": 0.02,
    "intermediate_size": 14,
    "max_position_embeddings": 32,
    "num_attention_heads": 3,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "num_local_experts": 5,
    "output_router_logits": True,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "router_aux_loss_coef": 0.02,
    "router_jitter_noise": 0.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_cache": True,
    "vocab_size": 89,
}


def fixture(config: Config) -> ModelFixture:
    model = CausalLm(config)
    initialise(model)
    ids = token_ids(STEPS, BATCH, TIME, below=config["vocab_size"], seed=50)
    return ModelFixture(config, model, {"input_ids": ids, "targets": next_tokens(ids, seed=51)})


llama_fixtures = {"llama": lambda: fixture(LLAMA_CONFIG), "mixtral": lambda: fixture(MIXTRAL_CONFIG)}
