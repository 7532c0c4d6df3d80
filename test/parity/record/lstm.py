"""The LSTM language model: `nn.LSTM` between an embedding and an output layer that share one matrix.

Hochreiter & Schmidhuber (1997), "Long short-term memory"; Press & Wolf (2017), "Using the output embedding to improve
language models". Training goes through time within a batch; the state it starts from is given and counts as constant.
"""

import torch
from torch import Tensor, nn

from gpt import next_token_outputs
from recorder import STEPS, ModelFixture, initialise, next_tokens, token_ids

BATCH, TIME = 3, 12

CONFIG: dict[str, object] = {
    "model_type": "lstm",
    "architectures": ["LstmLMHeadModel"],
    "dropout": 0.0,
    "hidden_size": 18,
    "initializer_range": 0.1,
    "num_layers": 2,
    "tie_word_embeddings": True,
    "vocab_size": 101,
}


class LstmLm(nn.Module):
    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.embedding = nn.Embedding(config["vocab_size"], width)
        self.lstm = nn.LSTM(width, width, num_layers=config["num_layers"], batch_first=True)
        self.output_bias = nn.Parameter(torch.empty(config["vocab_size"]))

    def forward(self, input_ids: Tensor, targets: Tensor, h_0: Tensor, c_0: Tensor) -> dict[str, Tensor]:
        """States are [layers, batch, width]."""
        x = self.embedding(input_ids)
        hidden, (h_n, c_n) = self.lstm(x, (h_0.to(x.dtype), c_0.to(x.dtype)))
        outputs = next_token_outputs(hidden @ self.embedding.weight.T + self.output_bias, targets)
        return {**outputs, "h_n": h_n, "c_n": c_n}


def lstm() -> ModelFixture:
    model = LstmLm(CONFIG)
    initialise(model, scale=0.6)
    ids = token_ids(STEPS, BATCH, TIME, below=CONFIG["vocab_size"], seed=60)
    generator = torch.Generator().manual_seed(61)
    shape = (STEPS, CONFIG["num_layers"], BATCH, CONFIG["hidden_size"])
    inputs = {
        "input_ids": ids,
        "targets": next_tokens(ids, seed=62),
        "h_0": torch.rand(shape, generator=generator) - 0.5,
        "c_0": torch.rand(shape, generator=generator) - 0.5,
    }
    return ModelFixture(CONFIG, model, inputs)


lstm_fixtures = {"lstm": lstm}
