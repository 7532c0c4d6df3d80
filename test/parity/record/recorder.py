"""What every model fixture consists of: outputs, loss, gradients and ten steps of training."""

import copy
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tensor_file import write_safetensors

STEPS = 10

Batches = dict[str, Tensor]
"""Inputs of the ten steps, by the name of the model's argument; the first axis is the step."""


@dataclass
class TrainingRun:
    """Settings of AdamW; the decay is for tensors of two and more axes only, embeddings included."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    max_gradient_norm: float = 1.0


@dataclass
class ModelFixture:
    """A tiny random model with inputs. The model maps a batch to its outputs, among them the scalar "loss".

    `buffers` go to the model's file but are not trained. `zero_gradients` names the parameters, or the rows [from, to)
    of them, whose gradient is zero in exact arithmetic, such as the bias of attention keys: AdamW divides what rounding
    leaves there by its own size, so such weights are noise after a few steps in any float32 program, and harmless.
    """

    config: dict[str, object]
    model: nn.Module
    batches: Batches
    runs: dict[str, TrainingRun] = field(default_factory=lambda: {"adamw": TrainingRun()})
    buffers: Batches = field(default_factory=dict)
    zero_gradients: dict[str, tuple[int, int]] = field(default_factory=dict)

    def write(self, folder: Path) -> str:
        """Writes the fixture; returns a line about how far float32 is from it. Raises where it is too far."""
        weights = dict(self.model.named_parameters())
        for parameter in weights.values():
            # The file holds float32, so the float64 model starts from exactly representable weights.
            parameter.data = parameter.data.float()

        exact = self.record(torch.float64)
        gap = largest_gap(exact, self.record(torch.float32), self.zero_gradients)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", self.config)
        write_json(
            folder / "recording.json",
            {
                "steps": STEPS,
                "runs": {name: asdict(run) for name, run in self.runs.items()},
                "zero_gradients": self.zero_gradients,
            },
        )
        write_safetensors(folder / "model.safetensors", {**weights, **self.buffers})
        write_safetensors(folder / "recorded.safetensors", {**self.batches, **exact})
        norms = [norm for name in self.runs for norm in exact[f"{name}.gradient_norms"].tolist()]
        return f"{gap}; loss {exact['loss']:.3f}" + (f", norms {min(norms):.2f} to {max(norms):.2f}" if norms else "")

    def record(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Outputs and gradients at the first batch, then each training run over all batches."""
        model = copy.deepcopy(self.model).to(dtype)
        recorded = model(**self.batch(0))
        recorded["loss"].backward()
        recorded.update({f"gradient.{name}": p.grad for name, p in model.named_parameters()})
        for name, run in self.runs.items():
            recorded.update({f"{name}.{key}": value for key, value in self.train(run, dtype).items()})
        return {name: tensor.detach().double() for name, tensor in recorded.items()}

    def train(self, run: TrainingRun, dtype: torch.dtype) -> dict[str, Tensor]:
        """Loss and gradient norm (before clipping) of each step, and the weights after the last."""
        model = copy.deepcopy(self.model).to(dtype)
        parameters = list(model.parameters())
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": run.weight_decay},
                {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
            ],
            lr=run.learning_rate,
            betas=(run.beta1, run.beta2),
            eps=run.epsilon,
        )
        losses, norms = [], []
        for step in range(STEPS):
            loss = model(**self.batch(step))["loss"]
            optimizer.zero_grad()
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(parameters, run.max_gradient_norm))
            optimizer.step()
            losses.append(loss.detach())
        weights = {f"weight.{name}": parameter for name, parameter in model.named_parameters()}
        return {"losses": torch.stack(losses), "gradient_norms": torch.stack(norms), **weights}

    def batch(self, step: int) -> dict[str, Tensor]:
        return {name: tensor[step] for name, tensor in self.batches.items()}


def largest_gap(exact: dict[str, Tensor], approximate: dict[str, Tensor], skip: dict[str, tuple[int, int]]) -> str:
    """Says which tensor differs most, absolutely. Tests ask for 1e-4, so a fixture must leave room for it."""
    gaps: dict[str, float] = {}
    for name, value in exact.items():
        difference = (value - approximate[name]).abs()
        _, is_weight, parameter = name.partition(".weight.")
        if is_weight and parameter in skip:
            start, end = skip[parameter]
            difference[start:end] = 0
        gaps[name] = float(difference.max())
    worst = max(gaps, key=lambda name: gaps[name])
    if not gaps[worst] < 2e-5:
        raise ValueError(f"{worst}: float32 is {gaps[worst]:.1e} from float64; change the fixture's sizes or scales")
    return f"float32 within {gaps[worst]:.0e} ({worst})"


def initialise(model: nn.Module, scale: float = 0.2) -> None:
    """Random weights, large enough that every part of the model matters to the loss; gains near 1."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        is_gain = parameter.dim() == 1 and name.endswith("weight")
        parameter.data = 1 + 0.1 * values if is_gain else scale * values


def token_ids(*shape: int, below: int, seed: int = 2, start: int = 0) -> Tensor:
    """Random ids in [start, below)."""
    return torch.randint(start, below, shape, generator=torch.Generator().manual_seed(seed))


def next_tokens(ids: Tensor, ignored: float = 0.2, seed: int = 3) -> Tensor:
    """Targets of next-token prediction, aligned with the inputs: ids moved by one, a share of them and the last -100."""
    targets = torch.cat([ids[..., 1:], torch.full_like(ids[..., :1], -100)], dim=-1)
    chance = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed))
    return targets.masked_fill(chance < ignored, -100)


def write_json(path: Path, value: object) -> None:
    """As the repository's formatter has it: indented, lists of plain values on one line, 1e-5 without a zero."""
    text = json.dumps(value, indent=2)
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]", text)
    text = re.sub(r"(?<=\de-)0(?=\d)", "", text)
    path.write_text(text + "\n")
