"""A language model around PyTorch's own `nn.LSTM`, with tied embeddings. See training.py."""

from training import Shape, next_tokens, serve

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LstmLm(nn.Module):
    def __init__(self, layers: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(ids))
        logits = F.linear(hidden, self.embedding.weight, self.output_bias)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def prepare(shape: Shape) -> tuple[nn.Module, tuple[Tensor, ...]]:
    return LstmLm(shape["layers"], shape["width"], shape["vocabulary"]), next_tokens(shape)


if __name__ == "__main__":
    serve(prepare)
