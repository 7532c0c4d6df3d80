"""Writing of tensor files: an 8-byte header length, a JSON header, then the tensors' bytes, row-major, little-endian."""

import json
from pathlib import Path

import torch

DTYPES = {torch.float32: "F32", torch.int32: "I32"}


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes float tensors as F32 and integer tensors as I32, in the given order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    chunks: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        stored = tensor.detach().to(torch.float32 if tensor.is_floating_point() else torch.int32).contiguous()
        data = stored.numpy().tobytes()
        header[name] = {
            "dtype": DTYPES[stored.dtype],
            "shape": list(stored.shape),
            "data_offsets": [end, end + len(data)],
        }
        chunks.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors start at a multiple of 8 bytes
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(chunks))
