"""Convolutions of PyTorch (oneDNN) beside Stemma's: forward, and forward with both gradients, on request.

Reads one JSON object a line and answers each with one line:

    {"shape": {"batch": 16, "channels": 64, "size": 32, "filters": 64, "stride": 1}, "layout": "first" | "last",
     "threads": 2, "calls": 5}
    {"forward": {"seconds": ..., "cpuSeconds": ...}, "step": {...}, "version": "2.15.0"}

Each is the best of so many calls, of wall time and of processor time by themselves. "layout" is where PyTorch keeps the
channels of a picture: its default, or what it recommends for speed. An error is answered as {"error": "..."}.
"""

import json
import sys
import time

import torch
from torch import nn


def answer(command: dict) -> dict:
    torch.set_num_threads(command["threads"])
    shape = command["shape"]
    layout = torch.channels_last if command["layout"] == "last" else torch.contiguous_format
    size = shape["size"]
    conv = nn.Conv2d(shape["channels"], shape["filters"], 3, shape["stride"], 1, bias=False).to(memory_format=layout)
    x = torch.randn(shape["batch"], shape["channels"], size, size).to(memory_format=layout).requires_grad_()
    dy = torch.randn_like(conv(x))
    best = [float("inf")] * 4
    for _ in range(command["calls"]):
        x.grad = conv.weight.grad = None
        start, cpu = time.perf_counter(), time.process_time()
        y = conv(x)
        forward, forward_cpu = time.perf_counter() - start, time.process_time() - cpu
        y.backward(dy)
        costs = [forward, forward_cpu, time.perf_counter() - start, time.process_time() - cpu]
        best = [min(pair) for pair in zip(best, costs)]
    return {
        "forward": {"seconds": best[0], "cpuSeconds": best[1]},
        "step": {"seconds": best[2], "cpuSeconds": best[3]},
        "version": torch.__version__.split("+")[0],
    }


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except Exception as error:
            result = {"error": str(error)}
        print(json.dumps(result), flush=True)
