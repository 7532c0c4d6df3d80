"""BERT: a bidirectional encoder with masked words and next-sentence prediction, and two heads for fine-tuning.

Devlin et al. (2019), "BERT: Pre-training of deep bidirectional transformers for language understanding".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recorder import STEPS, ModelFixture, initialise, token_ids

BATCH, TIME, CHOICES, LABELS = 3, 12, 2, 3

Config = dict[str, object]


class Embeddings(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], width)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], width)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, config["layer_norm_eps"])

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: input_ids.shape[1]]
        return self.LayerNorm(self.word_embeddings(input_ids) + positions + self.token_type_embeddings(token_type_ids))


class SelfAttention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            layer(x).view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        mixed = scores.masked_fill(~visible, float("-inf")).softmax(-1) @ v
        return mixed.transpose(1, 2).reshape(batch, time, width)


class ResidualOutput(nn.Module):
    """A projection whose result is added to the sub-layer's input and then normalised."""

    def __init__(self, n_in: int, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(n_in, config["hidden_size"])
        self.LayerNorm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = nn.ModuleDict({"self": SelfAttention(config), "output": ResidualOutput(width, config)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = ResidualOutput(inner, config)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, visible), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Bert(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.embeddings = Embeddings(config)
        layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states of all tokens, and the pooled state of the first."""
        # Padding is seen by no one. [batch, 1, 1, time]
        visible = (torch.arange(input_ids.shape[1]) < lengths[:, None])[:, None, None, :]
        x = self.embeddings(input_ids, token_type_ids)
        for layer in self.encoder["layer"]:
            x = layer(x, visible)
        return x, self.pooler["dense"](x[:, 0]).tanh()


class PredictionTransform(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config["hidden_size"], config["hidden_size"])
        self.LayerNorm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])

    def forward(self, x: Tensor) -> Tensor:
        return self.LayerNorm(F.gelu(self.dense(x)))


class Predictions(nn.Module):
    """Masked-word head; its output matrix is the word embedding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(config["vocab_size"]))
        self.transform = PredictionTransform(config)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.transform(x) @ embedding.T + self.bias


class BertForPreTraining(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.cls = nn.ModuleDict(
            {"predictions": Predictions(config), "seq_relationship": nn.Linear(config["hidden_size"], 2)}
        )

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, lengths: Tensor, targets: Tensor, next_sentence_label: Tensor
    ) -> dict[str, Tensor]:
        hidden, pooled = self.bert(input_ids, token_type_ids, lengths)
        logits = self.cls["predictions"](hidden, self.bert.embeddings.word_embeddings.weight)
        relationship = self.cls["seq_relationship"](pooled)
        masked_word_loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        next_sentence_loss = F.cross_entropy(relationship, next_sentence_label)
        return {
            "logits": logits,
            "seq_relationship_logits": relationship,
            "masked_word_loss": masked_word_loss,
            "next_sentence_loss": next_sentence_loss,
            "loss": masked_word_loss + next_sentence_loss,
        }


class BertForSequenceClassification(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.classifier = nn.Linear(config["hidden_size"], LABELS)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(self.bert(input_ids, token_type_ids, lengths)[1])
        return {"logits": logits, "loss": F.cross_entropy(logits, labels)}


class BertForMultipleChoice(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.classifier = nn.Linear(config["hidden_size"], 1)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Inputs are `[batch, choices, time]`."""
        pooled = self.bert(input_ids.flatten(0, 1), token_type_ids.flatten(0, 1), lengths.flatten())[1]
        logits = self.classifier(pooled).view(-1, CHOICES)
        return {"logits": logits, "loss": F.cross_entropy(logits, labels)}


CONFIG: Config = {
    "model_type": "bert",
    "architectures": ["BertForPreTraining"],
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 18,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 14,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 103,
}


def key_biases() -> dict[str, tuple[int, int]]:
    """A bias of the keys moves all scores of a query alike, which softmax ignores."""
    layers, width = CONFIG["num_hidden_layers"], CONFIG["hidden_size"]
    return {f"bert.encoder.layer.{i}.attention.self.key.bias": (0, width) for i in range(layers)}


def sequences(*batch: int, seed: int) -> dict[str, Tensor]:
    """Two segments and padding, a different split in each sequence."""
    lengths = token_ids(*batch, start=6, below=TIME + 1, seed=seed)
    splits = token_ids(*batch, start=2, below=6, seed=seed + 1)
    positions = torch.arange(TIME)
    is_padding = positions >= lengths[..., None]
    ids = token_ids(*batch, TIME, start=1, below=CONFIG["vocab_size"], seed=seed + 2)
    return {
        "input_ids": ids.masked_fill(is_padding, CONFIG["pad_token_id"]),
        "token_type_ids": ((positions >= splits[..., None]) & ~is_padding).long(),
        "lengths": lengths,
    }


def pretraining() -> ModelFixture:
    model = BertForPreTraining(CONFIG)
    initialise(model)
    inputs = sequences(STEPS, BATCH, seed=10)
    words = token_ids(STEPS, BATCH, TIME, start=1, below=CONFIG["vocab_size"], seed=13)
    is_kept = torch.rand(words.shape, generator=torch.Generator().manual_seed(14)) > 0.3
    is_padding = torch.arange(TIME) >= inputs["lengths"][..., None]
    inputs["targets"] = words.masked_fill(is_kept | is_padding, -100)
    inputs["next_sentence_label"] = token_ids(STEPS, BATCH, below=2, seed=15)
    return ModelFixture(CONFIG, model, inputs, zero_gradients=key_biases())


def classification() -> ModelFixture:
    labels = [f"LABEL_{i}" for i in range(LABELS)]
    config = {
        **CONFIG,
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    model = BertForSequenceClassification(config)
    initialise(model)
    inputs = {**sequences(STEPS, BATCH, seed=20), "labels": token_ids(STEPS, BATCH, below=LABELS, seed=23)}
    return ModelFixture(config, model, inputs, runs={})


def multiple_choice() -> ModelFixture:
    config = {**CONFIG, "architectures": ["BertForMultipleChoice"]}
    model = BertForMultipleChoice(config)
    initialise(model)
    inputs = {**sequences(STEPS, BATCH, CHOICES, seed=30), "labels": token_ids(STEPS, BATCH, below=CHOICES, seed=33)}
    return ModelFixture(config, model, inputs, runs={})


bert_fixtures = {
    "bert": pretraining,
    "bert-classification": classification,
    "bert-multiple-choice": multiple_choice,
}
