"""T5 version 1.1 with tied embeddings: an encoder and a decoder with relative positions. See training.py.

No text is padded, so no mask but the causal one is needed. Both stacks work their biases out once a step, and share
them among their blocks.
"""

import math

from training import Shape, above_diagonal, attend, serve

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BUCKETS, MAX_DISTANCE = 32, 128


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6))


def buckets_of(time: int, both_ways: bool) -> Tensor:
    """Bucket of each distance, [time, time]: near ones alone, far ones in growing groups."""
    distance = torch.arange(time)[None, :] - torch.arange(time)[:, None]
    count = BUCKETS // 2 if both_ways else BUCKETS
    offset = (distance > 0).long() * count if both_ways else 0
    distance = distance.abs() if both_ways else (-distance).clamp(min=0)
    exact = count // 2
    growth = torch.log(distance.clamp(min=1) / exact) / math.log(MAX_DISTANCE / exact)
    far = (exact + (growth * (count - exact)).long()).clamp(max=count - 1)
    return offset + torch.where(distance < exact, distance, far)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.o = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        return self.o(attend(q, k, v, bias, scale=1.0).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.o = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        parts = (self.q(x), *self.kv(text).chunk(2, dim=-1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.o(attend(q, k, v, scale=1.0).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, is_decoder: bool) -> None:
        super().__init__()
        self.attention_norm, self.attention = RmsNorm(width), SelfAttention(width, heads)
        self.cross_norm = RmsNorm(width) if is_decoder else None
        self.cross = CrossAttention(width, heads) if is_decoder else None
        self.mlp_norm = RmsNorm(width)
        self.wi = nn.Linear(width, 2 * hidden, bias=False)
        self.wo = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor, text: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), bias)
        if text is not None:
            x = x + self.cross(self.cross_norm(x), text)
        gate, value = self.wi(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.wo(F.gelu(gate, approximate="tanh") * value)


class Stack(nn.Module):
    def __init__(self, shape: Shape, time: int, is_decoder: bool) -> None:
        super().__init__()
        width, heads = shape["width"], shape["heads"]
        self.distances = nn.Embedding(BUCKETS, heads)
        self.register_buffer("buckets", buckets_of(time, both_ways=not is_decoder), persistent=False)
        self.register_buffer("hidden", above_diagonal(time) if is_decoder else None, persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads, shape["hidden"], is_decoder) for _ in range(shape["layers"]))
        self.norm = RmsNorm(width)

    def forward(self, x: Tensor, text: Tensor | None = None) -> Tensor:
        bias = self.distances(self.buckets).permute(2, 0, 1)  # [heads, time, time]
        if self.hidden is not None:
            bias = bias.masked_fill(self.hidden, float("-inf"))
        for block in self.blocks:
            x = block(x, bias, text)
        return self.norm(x)


class T5(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shared = nn.Embedding(shape["vocabulary"], shape["width"])
        self.encoder = Stack(shape, shape["context"], is_decoder=False)
        self.decoder = Stack(shape, shape["targetTime"], is_decoder=True)
        self.apply(self.initialise)

    def initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if isinstance(module, (SelfAttention, CrossAttention)):
            queries = module.qkv if isinstance(module, SelfAttention) else module.q
            width = queries.in_features
            queries.weight.data[:width] *= (width // module.heads) ** -0.5

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        before = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
        hidden = self.decoder(self.shared(before), self.encoder(self.shared(ids)))
        logits = F.linear(hidden * hidden.shape[-1] ** -0.5, self.shared.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def prepare(shape: Shape) -> tuple[nn.Module, tuple[Tensor, ...]]:
    ids = torch.randint(shape["vocabulary"], (shape["batch"], shape["context"]))
    targets = torch.randint(shape["vocabulary"], (shape["batch"], shape["targetTime"]))
    return T5(shape), (ids, targets)


if __name__ == "__main__":
    serve(prepare)
