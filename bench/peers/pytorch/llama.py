"""Llama: rotary positions, root-mean-square norms, SwiGLU, grouped queries, tied embeddings. See training.py."""

from training import Shape, above_diagonal, attend_causally, initialise, next_tokens, serve

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on [batch, heads, time, headDim]; dimension i turns with dimension i + headDim / 2."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, hidden = shape["width"], shape["hidden"]
        self.head_dim = width // shape["heads"]
        self.groups = shape["heads"] // shape["keyValueHeads"]
        self.sizes = [width, shape["keyValueHeads"] * self.head_dim, shape["keyValueHeads"] * self.head_dim]
        self.attention_norm, self.mlp_norm = RmsNorm(width), RmsNorm(width)
        self.qkv = nn.Linear(width, sum(self.sizes), bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, hidden: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for part in self.qkv(self.attention_norm(x)).split(self.sizes, dim=-1)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (shared.repeat_interleave(self.groups, dim=1) for shared in (k, v))
        x = x + self.o(attend_causally(q, k, v, hidden).transpose(1, 2).flatten(2))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape["vocabulary"], shape["width"])
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape["layers"]))
        self.norm = RmsNorm(shape["width"])
        self.apply(initialise)
        half = shape["width"] // shape["heads"] // 2
        angles = torch.arange(shape["context"])[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", torch.cat([angles, angles], dim=-1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angles, angles], dim=-1).sin(), persistent=False)
        self.register_buffer("hidden", above_diagonal(shape["context"]), persistent=False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(ids)
        # Under autocast queries and keys come in bfloat16; turned by float32 they would go on in float32.
        kind = torch.bfloat16 if torch.is_autocast_cpu_enabled() else torch.float32
        cos, sin = self.cos.to(kind), self.sin.to(kind)
        for block in self.blocks:
            x = block(x, cos, sin, self.hidden)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def prepare(shape: Shape) -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Llama(shape), next_tokens(shape)


if __name__ == "__main__":
    serve(prepare)
