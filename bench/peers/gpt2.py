"""PyTorch beside Stemma: one training step of GPT-2 (forward, backward, clipping, AdamW) on two threads.

Reads one JSON object a line from standard input and answers each with one line on standard output:

    {"shape": {"layers": 4, "heads": 4, "width": 128, "context": 64, "batch": 12, "vocabulary": 256},
     "precision": "float32" | "bfloat16", "steps": 3}
    {"secondsPerStep": [...], "losses": [...], "peakBytes": ..., "parameters": ..., "torch": "1.13.0", "threads": 2,
     "blas": "Cooperlake"}

The model is kept from line to line and made anew, after two untimed steps, when shape or precision changes. A driver
can thus time a few steps here, a few on its own side, and so on. `peakBytes` is the peak resident size of the process:
start one process for each shape and precision to measure memory. `"threads"` may be given; the default is 2. An
error is answered as {"error": "..."}.

Some machines set OPENBLAS_CORETYPE so that OpenBLAS, PyTorch's matrix library here, uses an older processor's kernels.
That is no fair peer (AVX2 instead of AVX-512 makes it 1.2 to 1.5 times slower), so the variable is dropped, unless
`--keep-environment` is given. `blas` in the answer says which kernels ran.

Written as PyTorch's users do: fused query-key-value projection, tied embeddings, autocast for bfloat16, AdamW over all
tensors at once. PyTorch 1.13 has no fused attention for CPUs; from 2.0 on this program uses it.
"""

import ctypes
import json
import math
import os
import resource
import sys
import time

if "--keep-environment" not in sys.argv and "OPENBLAS_CORETYPE" in os.environ:
    os.environ.pop("OPENBLAS_CORETYPE")
    os.environ.pop("OPENBLAS_L2_SIZE", None)
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
HAS_FUSED_ATTENTION = hasattr(F, "scaled_dot_product_attention")


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.register_buffer("hidden", ~torch.ones(context, context, dtype=torch.bool).tril(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        if HAS_FUSED_ATTENTION:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(width // self.heads))
            mixed = scores.masked_fill(self.hidden[:time, :time], float("-inf")).softmax(-1) @ v
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, context)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt2(nn.Module):
    def __init__(self, layers: int, heads: int, width: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads, context) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.apply(initialise)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Training:
    """A model in training on one random batch."""

    def __init__(self, shape: dict[str, int], precision: str) -> None:
        torch.manual_seed(0)
        sizes = {name: shape[name] for name in ("layers", "heads", "width", "context", "vocabulary")}
        self.model = Gpt2(**sizes)
        self.parameters = list(self.model.parameters())
        self.autocast = precision == "bfloat16"
        groups = [
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), foreach=True)
        tokens = torch.randint(shape["vocabulary"], (shape["batch"], shape["context"] + 1))
        self.ids, self.targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def step(self) -> tuple[float, float]:
        """Trains one step; its time in seconds and its loss in nats."""
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            loss = self.model(self.ids, self.targets)
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


def serve() -> None:
    current, training = None, None
    for line in sys.stdin:
        try:
            command = json.loads(line)
            torch.set_num_threads(command.get("threads", 2))
            wanted = (command["shape"], command["precision"])
            if wanted != current:
                training = None  # gives the old model's memory back before the new one is made
                training, current = Training(*wanted), wanted
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


if __name__ == "__main__":
    serve()
