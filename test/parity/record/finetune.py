"""GPT-2 with a head on the last token, for the four kinds of tasks of GPT-1, and the log-likelihood of continuations.

Radford et al. (2018), "Improving language understanding by generative pre-training", sections 3.2 and 3.3.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gpt import GPT2_CONFIG, Gpt2, key_biases
from recorder import STEPS, ModelFixture, initialise, token_ids

TIME, CHOICES = 12, 3
LANGUAGE_MODEL_WEIGHT = 0.5


class Gpt2ForTask(Gpt2):
    """The two orders of a similar pair, and the choices of a question, are rows behind each other."""

    def __init__(self, config: dict[str, object], task: str, outputs: int) -> None:
        super().__init__(config)
        self.task = task
        self.score = nn.Linear(config["n_embd"], outputs, bias=False)

    def forward(self, input_ids: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        hidden = self.hidden(input_ids)
        summaries = hidden[torch.arange(len(lengths)), lengths - 1]
        if self.task == "similarity":
            summaries = summaries.view(-1, 2, summaries.shape[1]).sum(1)
        outputs = self.score(summaries)
        if self.task == "multiple-choice":
            outputs = outputs.view(-1, CHOICES)
        if outputs.shape[1] == 1:
            task_loss = F.mse_loss(outputs[:, 0], labels.to(outputs.dtype) / 4)
        else:
            task_loss = F.cross_entropy(outputs, labels)
        is_past_end = torch.arange(1, input_ids.shape[1]) >= lengths[:, None]
        targets = input_ids[:, 1:].masked_fill(is_past_end, -100)
        logits = hidden[:, :-1] @ self.wte.weight.T
        language_model_loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        return {
            "outputs": outputs,
            "task_loss": task_loss,
            "language_model_loss": language_model_loss,
            "loss": task_loss + LANGUAGE_MODEL_WEIGHT * language_model_loss,
        }

    def hidden(self, input_ids: Tensor) -> Tensor:
        time = input_ids.shape[1]
        visible = torch.ones(time, time, dtype=torch.bool).tril()
        x = self.wte(input_ids) + self.wpe.weight[:time]
        for block in self.h:
            x = block(x, visible)
        return self.ln_f(x)


class Gpt2ForContinuations(Gpt2ForTask):
    """Σ log p of the tokens from `starts` on, and whether each is the likeliest; the "loss" is only for the recorder."""

    def forward(self, input_ids: Tensor, lengths: Tensor, starts: Tensor) -> dict[str, Tensor]:
        log_probs = (self.hidden(input_ids)[:, :-1] @ self.wte.weight.T).log_softmax(-1)
        positions = torch.arange(1, input_ids.shape[1])
        counts = (positions >= starts[:, None]) & (positions < lengths[:, None])
        picked = log_probs.gather(-1, input_ids[:, 1:, None])[..., 0]
        sums = (picked * counts).sum(1)
        is_greedy = ((log_probs.argmax(-1) == input_ids[:, 1:]) | ~counts).all(1)
        loss = -sums.mean() + 0 * self.score.weight.sum()  # so that everything has a gradient
        return {"log_likelihoods": sums, "is_greedy": is_greedy.to(sums.dtype), "loss": loss}


def stored_task(task: str, labels: list[str]) -> dict[str, object]:
    names = labels or ["score"]
    return {
        **GPT2_CONFIG,
        "architectures": ["GPT2ForSequenceClassification"],
        "id2label": {str(i): label for i, label in enumerate(names)},
        "label2id": {label: i for i, label in enumerate(names)},
        "task_specific_params": {
            "stemma": {
                "task": task,
                "columns": {"texts": ["text"], "label": "label", "choices": "choices"},
                "tokens": {"start": "<s>", "delimiter": "<d>", "extract": "<e>"},
            }
        },
    }


def fixture(task: str, labels: list[str], rows: int, examples: int, classes: int, seed: int) -> ModelFixture:
    config = stored_task(task, labels)
    model = Gpt2ForTask(config, task, max(len(labels), 1))
    initialise(model)
    lengths = token_ids(STEPS, rows, start=5, below=TIME + 1, seed=seed)
    ids = token_ids(STEPS, rows, TIME, start=1, below=config["vocab_size"], seed=seed + 1)
    inputs = {
        "input_ids": ids.masked_fill(torch.arange(TIME) >= lengths[..., None], 0),
        "lengths": lengths,
        "labels": token_ids(STEPS, examples, below=classes, seed=seed + 2),
    }
    return ModelFixture(config, model, inputs, runs={}, zero_gradients=key_biases(config, ""))


def continuations() -> ModelFixture:
    config = stored_task("classification", [])
    model = Gpt2ForContinuations(config, "classification", 1)
    initialise(model)
    lengths = token_ids(STEPS, 8, start=8, below=TIME + 1, seed=60)
    inputs = {
        "input_ids": token_ids(STEPS, 8, TIME, start=1, below=config["vocab_size"], seed=61),
        "lengths": lengths,
        "starts": token_ids(STEPS, 8, start=1, below=7, seed=62),
    }
    return ModelFixture(config, model, inputs, runs={}, zero_gradients=key_biases(config, ""))


finetune_fixtures = {
    "finetune-classification": lambda: fixture("classification", ["a", "b", "c"], 4, 4, 3, seed=40),
    "finetune-similarity": lambda: fixture("similarity", ["no", "yes"], 6, 3, 2, seed=43),
    "finetune-score": lambda: fixture("similarity", [], 6, 3, 5, seed=46),
    "finetune-choice": lambda: fixture("multiple-choice", [], 6, 2, CHOICES, seed=49),
    "continuations": continuations,
}
