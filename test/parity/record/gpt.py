"""GPT-1, GPT-2 and the prefix language model: one decoder, with the norms after or before.

Radford et al. (2018), "Improving language understanding by generative pre-training"; Radford et al. (2019), "Language
models are unsupervised multitask learners"; Raffel et al. (2020), section 3.2.1, for the prefix.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recorder import STEPS, ModelFixture, TrainingRun, initialise, next_tokens, token_ids

BATCH, TIME = 3, 12


class Conv1D(nn.Module):
    """A linear layer whose weight is stored [in, out]."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        batch, time, width = x.shape
        # [3, batch, heads, time, headDim]
        q, k, v = self.c_attn(x).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        mixed = scores.masked_fill(~visible, float("-inf")).softmax(-1) @ v
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, time, width))


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc = Conv1D(width, inner)
        self.c_proj = Conv1D(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, epsilon: float, norm_first: bool) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.ln_1 = nn.LayerNorm(width, epsilon)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        if self.norm_first:
            x = x + self.attn(self.ln_1(x), visible)
            return x + self.mlp(self.ln_2(x))
        x = self.ln_1(x + self.attn(x, visible))
        return self.ln_2(x + self.mlp(x))


class Gpt2(nn.Module):
    """Norms before, one more at the end. The embedding is the output projection."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        self.wte = nn.Embedding(config["vocab_size"], config["n_embd"])
        self.wpe = nn.Embedding(config["n_positions"], config["n_embd"])
        self.h = nn.ModuleList(
            Block(config["n_embd"], config["n_head"], config["layer_norm_epsilon"], norm_first=True)
            for _ in range(config["n_layer"])
        )
        self.ln_f = nn.LayerNorm(config["n_embd"], config["layer_norm_epsilon"])

    def forward(self, input_ids: Tensor, targets: Tensor, prefix_lengths: Tensor | None = None) -> dict[str, Tensor]:
        time = input_ids.shape[1]
        visible = torch.ones(time, time, dtype=torch.bool).tril()
        if prefix_lengths is not None:
            # Every position sees the whole prefix. [batch, 1, time, time]
            visible = visible | (torch.arange(time) < prefix_lengths[:, None])[:, None, None, :]
        x = self.wte(input_ids) + self.wpe.weight[:time]
        for block in self.h:
            x = block(x, visible)
        return next_token_outputs(self.ln_f(x) @ self.wte.weight.T, targets)


class Gpt1Body(nn.Module):
    """Norms after, none at the end."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        self.tokens_embed = nn.Embedding(config["vocab_size"], config["n_embd"])
        self.positions_embed = nn.Embedding(config["n_positions"], config["n_embd"])
        self.h = nn.ModuleList(
            Block(config["n_embd"], config["n_head"], config["layer_norm_epsilon"], norm_first=False)
            for _ in range(config["n_layer"])
        )

    def forward(self, input_ids: Tensor) -> Tensor:
        time = input_ids.shape[1]
        visible = torch.ones(time, time, dtype=torch.bool).tril()
        x = self.tokens_embed(input_ids) + self.positions_embed.weight[:time]
        for block in self.h:
            x = block(x, visible)
        return x


class Gpt1(nn.Module):
    """With the `transformer.` in front of every name that files of the language-model class have."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        self.transformer = Gpt1Body(config)

    def forward(self, input_ids: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return next_token_outputs(self.transformer(input_ids) @ self.transformer.tokens_embed.weight.T, targets)


def next_token_outputs(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Mean cross-entropy over the targets that are not -100, in nats."""
    return {"logits": logits, "loss": F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)}


GPT1_CONFIG: dict[str, object] = {
    "model_type": "openai-gpt",
    "architectures": ["OpenAIGPTLMHeadModel"],
    "afn": "gelu",
    "attn_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-5,
    "n_ctx": 13,
    "n_embd": 16,
    "n_head": 2,
    "n_layer": 2,
    "n_positions": 13,
    "n_special": 0,
    "predict_special_tokens": True,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "vocab_size": 97,
}

GPT2_CONFIG: dict[str, object] = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "activation_function": "gelu_new",
    "attn_pdrop": 0.0,
    "bos_token_id": 100,
    "embd_pdrop": 0.0,
    "eos_token_id": 100,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-5,
    "n_ctx": 13,
    "n_embd": 18,
    "n_head": 3,
    "n_inner": None,
    "n_layer": 2,
    "n_positions": 13,
    "reorder_and_upcast_attn": False,
    "resid_pdrop": 0.0,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "use_cache": True,
    "vocab_size": 101,
}

# The second run's limit lies among its gradient norms, so that some steps are clipped and some are not; its decay is
# strong enough to show after ten steps.
BOTH_RUNS = {
    "adamw": TrainingRun(),
    "adamw_beta2_095": TrainingRun(beta2=0.95, weight_decay=1.0, max_gradient_norm=2.2),
}


def batches(vocabulary: int) -> dict[str, Tensor]:
    ids = token_ids(STEPS, BATCH, TIME, below=vocabulary)
    return {"input_ids": ids, "targets": next_tokens(ids)}


def key_biases(config: dict[str, object], prefix: str) -> dict[str, tuple[int, int]]:
    """Adding one vector to all keys moves a query's scores by one amount, which softmax ignores."""
    width = config["n_embd"]
    return {f"{prefix}h.{i}.attn.c_attn.bias": (width, 2 * width) for i in range(config["n_layer"])}


def gpt1() -> ModelFixture:
    model = Gpt1(GPT1_CONFIG)
    initialise(model)
    zero = key_biases(GPT1_CONFIG, "transformer.")
    return ModelFixture(GPT1_CONFIG, model, batches(GPT1_CONFIG["vocab_size"]), BOTH_RUNS, zero_gradients=zero)


def gpt2() -> ModelFixture:
    """Without a prefix and with the causal masks as tensors, as OpenAI's weights are found."""
    model = Gpt2(GPT2_CONFIG)
    initialise(model)
    positions = GPT2_CONFIG["n_positions"]
    masks = {
        f"h.{i}.attn.bias": torch.ones(1, 1, positions, positions).tril() for i in range(GPT2_CONFIG["n_layer"])
    }
    zero = key_biases(GPT2_CONFIG, "")
    return ModelFixture(GPT2_CONFIG, model, batches(GPT2_CONFIG["vocab_size"]), BOTH_RUNS, masks, zero)


def prefix_lm() -> ModelFixture:
    """GPT-2 with a bidirectional prefix of its own length for each sequence; the loss is on what follows it."""
    model = Gpt2(GPT2_CONFIG)
    initialise(model)
    ids = token_ids(STEPS, BATCH, TIME, below=GPT2_CONFIG["vocab_size"], seed=5)
    lengths = token_ids(STEPS, BATCH, below=TIME - 2, seed=6)
    # The prefix's last position predicts the first token after it.
    is_prefix = torch.arange(TIME) < lengths[..., None] - 1
    targets = next_tokens(ids, ignored=0).masked_fill(is_prefix, -100)
    inputs = {"input_ids": ids, "targets": targets, "prefix_lengths": lengths}
    return ModelFixture(GPT2_CONFIG, model, inputs, zero_gradients=key_biases(GPT2_CONFIG, ""))


gpt_fixtures = {"gpt1": gpt1, "gpt2": gpt2, "prefix-lm": prefix_lm}
