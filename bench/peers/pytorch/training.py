"""The protocol of the PyTorch programs beside Stemma: training steps (forward, backward, clipping, AdamW) on request.

Reads one JSON object a line from standard input and answers each with one line on standard output:

    {"shape": {"layers": 4, "width": 128, ...}, "precision": "float32" | "bfloat16", "steps": 3}
    {"secondsPerStep": [...], "losses": [...], "peakBytes": ..., "parameters": ..., "torch": "1.13.0", "threads": 2,
     "blas": "Cooperlake"}

The model is kept from line to line and made anew, after two untimed steps, when shape or precision changes. A driver
can thus time a few steps here, a few on its own side, and so on. `peakBytes` is the peak resident size of the process:
start one process for each shape and precision to measure memory. `"threads"` may be given; the default is 2. An
error is answered as {"error": "..."}.

Some machines set OPENBLAS_CORETYPE so that OpenBLAS, PyTorch's matrix library here, uses an older processor's kernels.
That is no fair peer (AVX2 instead of AVX-512 makes it 1.2 to 1.5 times slower), so the variable is dropped, unless
`--keep-environment` is given. `blas` in the answer says which kernels ran.

Models are written as PyTorch's users do: autocast for bfloat16, AdamW over all tensors at once. PyTorch 1.13 has no
fused attention for CPUs; from 2.0 on these programs use it.
"""

import ctypes
import json
import os
import resource
import sys
import time
from typing import Callable

if "--keep-environment" not in sys.argv and "OPENBLAS_CORETYPE" in os.environ:
    os.environ.pop("OPENBLAS_CORETYPE")
    os.environ.pop("OPENBLAS_L2_SIZE", None)
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
HAS_FUSED_ATTENTION = hasattr(F, "scaled_dot_product_attention")

Shape = dict[str, int]
# Makes a model whose call with the batch gives the loss.
Prepare = Callable[[Shape], tuple[nn.Module, tuple[Tensor, ...]]]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """Attention of [batch, heads, time, headDim]; `bias` is added to the scores, -inf hiding a key."""
    if HAS_FUSED_ATTENTION:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    scores = (q @ k.transpose(-2, -1)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (scores if bias is None else scores + bias).softmax(-1) @ v


def attend_causally(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
    """Attention to what came before; `hidden` is True above the diagonal."""
    if HAS_FUSED_ATTENTION:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    time = q.shape[-2]
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    return scores.masked_fill(hidden[:time, :time], float("-inf")).softmax(-1) @ v


def above_diagonal(time: int) -> Tensor:
    """True where a key comes after the query, [time, time]."""
    return ~torch.ones(time, time, dtype=torch.bool).tril()


def initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def next_tokens(shape: Shape) -> tuple[Tensor, Tensor]:
    """Random ids and, for each, the one that follows, both [batch, context]."""
    tokens = torch.randint(shape["vocabulary"], (shape["batch"], shape["context"] + 1))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


class Training:
    """A model in training on one random batch."""

    def __init__(self, prepare: Prepare, shape: Shape, precision: str) -> None:
        torch.manual_seed(0)
        self.model, self.batch = prepare(shape)
        self.parameters = list(self.model.parameters())
        self.autocast = precision == "bfloat16"
        groups = [
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), foreach=True)

    def step(self) -> tuple[float, float]:
        """Trains one step; its time in seconds and its loss in nats."""
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            loss = self.model(*self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return time.perf_counter() - start, loss.item()


def blas_kernels() -> str | None:
    """Name of the processor whose kernels OpenBLAS uses, where PyTorch is built on OpenBLAS."""
    try:
        core_name = ctypes.CDLL("libblas.so.3").openblas_get_corename
    except (OSError, AttributeError):
        return None
    core_name.restype = ctypes.c_char_p
    return core_name().decode()


def serve(prepare: Prepare) -> None:
    """Answers commands about one kind of model until standard input ends."""
    current, training = None, None
    for line in sys.stdin:
        try:
            command = json.loads(line)
            torch.set_num_threads(command.get("threads", 2))
            wanted = (command["shape"], command["precision"])
            if wanted != current:
                training = None  # gives the old model's memory back before the new one is made
                training, current = Training(prepare, *wanted), wanted
                for _ in range(2):
                    training.step()
            seconds, losses = zip(*(training.step() for _ in range(command["steps"])))
            answer = {
                "secondsPerStep": seconds,
                "losses": losses,
                "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT,
                "parameters": sum(p.numel() for p in training.parameters),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "blas": blas_kernels(),
            }
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
