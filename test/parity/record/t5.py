"""T5: an encoder and a decoder with relative positions; the first version, and version 1.1 with gated activations.

Raffel et al. (2020), "Exploring the limits of transfer learning with a unified text-to-text transformer"; Shazeer
(2020), "GLU variants improve transformer", for version 1.1. Scores are not scaled: the initial weights take care of it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recorder import STEPS, ModelFixture, initialise, token_ids

BATCH, ENCODER_TIME, DECODER_TIME = 3, 14, 9

Config = dict[str, object]


class RmsNorm(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config["d_model"]))
        self.epsilon = config["layer_norm_epsilon"]

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


def relative_bucket(distance: Tensor, bidirectional: bool, buckets: int, max_distance: int) -> Tensor:
    """Bucket of a key at `distance` = key position − query position: near ones alone, far ones in growing groups."""
    offset = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        offset = (distance > 0).long() * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
    return offset + torch.where(distance < exact, distance, far)


class Attention(nn.Module):
    def __init__(self, config: Config, has_bias: bool, bidirectional: bool) -> None:
        super().__init__()
        inner = config["num_heads"] * config["d_kv"]
        self.config, self.bidirectional = config, bidirectional
        self.q = nn.Linear(config["d_model"], inner, bias=False)
        self.k = nn.Linear(config["d_model"], inner, bias=False)
        self.v = nn.Linear(config["d_model"], inner, bias=False)
        self.o = nn.Linear(inner, config["d_model"], bias=False)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(config["relative_attention_num_buckets"], config["num_heads"])

    def bias(self, time: int) -> Tensor:
        """[heads, queries, keys]; the first block's is used by all blocks of its stack."""
        positions = torch.arange(time)
        buckets = relative_bucket(
            positions[None, :] - positions[:, None],
            self.bidirectional,
            self.config["relative_attention_num_buckets"],
            self.config["relative_attention_max_distance"],
        )
        return self.relative_attention_bias(buckets).permute(2, 0, 1)

    def forward(self, x: Tensor, memory: Tensor, visible: Tensor, bias: Tensor | float) -> Tensor:
        def heads(values: Tensor) -> Tensor:
            return values.unflatten(-1, (self.config["num_heads"], self.config["d_kv"])).transpose(1, 2)

        scores = heads(self.q(x)) @ heads(self.k(memory)).transpose(-2, -1) + bias
        mixed = scores.masked_fill(~visible, float("-inf")).softmax(-1) @ heads(self.v(memory))
        return self.o(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gated = config["feed_forward_proj"] == "gated-gelu"
        for name in ("wi_0", "wi_1") if self.gated else ("wi",):
            self.add_module(name, nn.Linear(config["d_model"], config["d_ff"], bias=False))
        self.wo = nn.Linear(config["d_ff"], config["d_model"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))
        return self.wo(self.wi(x).relu())


class SubLayer(nn.Module):
    """A named sub-layer with the norm at its input."""

    def __init__(self, name: str, module: nn.Module, config: Config) -> None:
        super().__init__()
        self.add_module(name, module)
        self.layer_norm = RmsNorm(config)
        self.name = name

    def forward(self, x: Tensor, *arguments: object, memory: Tensor | None = None) -> Tensor:
        inputs = self.layer_norm(x)
        module = getattr(self, self.name)
        if self.name == "DenseReluDense":
            return x + module(inputs)
        return x + module(inputs, inputs if memory is None else memory, *arguments)


class Block(nn.Module):
    def __init__(self, config: Config, is_first: bool, is_decoder: bool) -> None:
        super().__init__()
        layers = [SubLayer("SelfAttention", Attention(config, is_first, not is_decoder), config)]
        if is_decoder:
            layers.append(SubLayer("EncDecAttention", Attention(config, False, True), config))
        layers.append(SubLayer("DenseReluDense", FeedForward(config), config))
        self.layer = nn.ModuleList(layers)


class Stack(nn.Module):
    def __init__(self, config: Config, is_decoder: bool) -> None:
        super().__init__()
        count = config["num_decoder_layers" if is_decoder else "num_layers"]
        self.block = nn.ModuleList(Block(config, i == 0, is_decoder) for i in range(count))
        self.final_layer_norm = RmsNorm(config)

    def forward(
        self, x: Tensor, visible: Tensor, memory: Tensor | None = None, memory_visible: Tensor | None = None
    ) -> Tensor:
        bias = self.block[0].layer[0].SelfAttention.bias(x.shape[1])
        for block in self.block:
            x = block.layer[0](x, visible, bias)
            if memory is not None:
                x = block.layer[1](x, memory_visible, 0.0, memory=memory)
            x = block.layer[-1](x)
        return self.final_layer_norm(x)


class T5(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        self.encoder = Stack(config, is_decoder=False)
        self.decoder = Stack(config, is_decoder=True)
        if not config["tie_word_embeddings"]:
            self.lm_head = nn.Linear(config["d_model"], config["vocab_size"], bias=False)

    def forward(self, input_ids: Tensor, lengths: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The decoder reads its targets moved to the right; positions that are ignored read as padding."""
        # Padding is seen by no one. [batch, 1, 1, time]
        visible = (torch.arange(input_ids.shape[1]) < lengths[:, None])[:, None, None, :]
        memory = self.encoder(self.shared(input_ids), visible)
        start = torch.full_like(targets[:, :1], self.config["decoder_start_token_id"])
        decoder_ids = torch.cat([start, targets[:, :-1]], 1)
        decoder_ids = decoder_ids.masked_fill(decoder_ids == -100, self.config["pad_token_id"])
        causal = torch.ones(targets.shape[1], targets.shape[1], dtype=torch.bool).tril()
        hidden = self.decoder(self.shared(decoder_ids), causal, memory, visible)
        if self.config["tie_word_embeddings"]:
            logits = hidden * self.config["d_model"] ** -0.5 @ self.shared.weight.T
        else:
            logits = self.lm_head(hidden)
        return {
            "encoder_hidden": memory,
            "logits": logits,
            "loss": F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100),
        }


CONFIG: Config = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "classifier_dropout": 0.0,
    "d_ff": 34,
    "d_kv": 6,
    "d_model": 16,
    "decoder_start_token_id": 0,
    "dense_act_fn": "relu",
    "dropout_rate": 0.0,
    "eos_token_id": 1,
    "feed_forward_proj": "relu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "is_gated_act": False,
    "layer_norm_epsilon": 1e-6,
    "num_decoder_layers": 2,
    "num_heads": 3,
    "num_layers": 2,
    "pad_token_id": 0,
    "relative_attention_max_distance": 12,
    "relative_attention_num_buckets": 8,
    "tie_word_embeddings": True,
    "use_cache": True,
    "vocab_size": 99,
}

GATED_CONFIG: Config = {
    **CONFIG,
    "dense_act_fn": "gelu_new",
    "feed_forward_proj": "gated-gelu",
    "is_gated_act": True,
    "tie_word_embeddings": False,
    "vocab_size": 67,
}


def fixture(config: Config, scale: float) -> ModelFixture:
    model = T5(config)
    initialise(model, scale)
    lengths = token_ids(STEPS, BATCH, start=7, below=ENCODER_TIME + 1, seed=40)
    is_padding = torch.arange(ENCODER_TIME) >= lengths[..., None]
    ids = token_ids(STEPS, BATCH, ENCODER_TIME, start=1, below=config["vocab_size"], seed=41)
    target_lengths = token_ids(STEPS, BATCH, start=5, below=DECODER_TIME + 1, seed=42)
    targets = token_ids(STEPS, BATCH, DECODER_TIME, start=1, below=config["vocab_size"], seed=43)
    inputs = {
        "input_ids": ids.masked_fill(is_padding, config["pad_token_id"]),
        "lengths": lengths,
        "targets": targets.masked_fill(torch.arange(DECODER_TIME) >= target_lengths[..., None], -100),
    }
    return ModelFixture(config, model, inputs)


t5_fixtures = {"t5": lambda: fixture(CONFIG, 0.25), "t5-gated": lambda: fixture(GATED_CONFIG, 0.12)}
