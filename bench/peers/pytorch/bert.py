"""BERT in pretraining: masked words and next sentences. See training.py.

Only the hidden states of masked words go through the output layer, which is less work than giving logits of all tokens,
as many programs do. No sequence is padded, so no mask is needed.
"""

from training import Shape, attend, initialise, serve

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, 1e-12)
        self.intermediate = nn.Linear(width, 4 * width)
        self.output = nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width, 1e-12)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.query_key_value(x).split(width, dim=2)
        )
        mixed = attend(q, k, v).transpose(1, 2).reshape(batch, time, width)
        x = self.attention_norm(x + self.attention_output(mixed))
        return self.output_norm(x + self.output(F.gelu(self.intermediate(x))))


class Bert(nn.Module):
    def __init__(self, layers: int, heads: int, width: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.pooler = nn.Linear(width, width)
        self.relationship = nn.Linear(width, 2)
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, 1e-12)
        self.decoder = nn.Linear(width, vocabulary)
        self.apply(initialise)
        self.decoder.weight = self.words.weight

    def forward(self, ids: Tensor, segments: Tensor, masked: Tensor, words: Tensor, follows: Tensor) -> Tensor:
        """`masked` are places in the flattened batch, `words` what stood there."""
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]] + self.segments(segments))
        for layer in self.layers:
            x = layer(x)
        chosen = x.flatten(0, 1)[masked]
        # Norms of PyTorch 1.13 refuse what autocast leaves in bfloat16.
        transformed = self.transform_norm(F.gelu(self.transform(chosen)).float())
        logits = self.decoder(transformed)
        relationship = self.relationship(self.pooler(x[:, 0]).tanh())
        return F.cross_entropy(logits, words) + F.cross_entropy(relationship, follows)


def prepare(shape: Shape) -> tuple[nn.Module, tuple[Tensor, ...]]:
    sizes = {name: shape[name] for name in ("layers", "heads", "width", "context", "vocabulary")}
    batch, time = shape["batch"], shape["context"]
    ids = torch.randint(shape["vocabulary"], (batch, time))
    segments = (torch.arange(time) >= time // 2).long().expand(batch, time)
    every = time // shape["masked"]
    masked = torch.arange(batch)[:, None] * time + torch.arange(shape["masked"]) * every
    words = torch.randint(shape["vocabulary"], (batch * shape["masked"],))
    return Bert(**sizes), (ids, segments, masked.flatten(), words, torch.arange(batch) % 2)


if __name__ == "__main__":
    serve(prepare)
