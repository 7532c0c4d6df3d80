"""Records what blocks of ggml's formats hold, by the `gguf` package (PyPI), as a fixture for `src/core/read-only-blocks.test.ts`.

    python3 test/parity/record/ggml_blocks.py
"""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, dequantize
from gguf.constants import GGML_QUANT_SIZES

# Where a block begins a float16, which has to be a number of usual size.
SCALES = {"Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0]}


def main() -> None:
    random = np.random.default_rng(0)
    formats = {}
    for name, places in SCALES.items():
        kind = GGMLQuantizationType[name]
        block, size = GGML_QUANT_SIZES[kind]
        raw = random.integers(0, 256, (512 // block, size), dtype=np.uint8)
        for place in places:
            scales = random.normal(size=(len(raw), 1)).astype(np.float16)
            raw[:, place : place + 2] = scales.view(np.uint8)
        values = dequantize(raw, kind).astype("<f4")
        formats[name] = {"raw": text(raw), "values": text(values)}
    path = Path(__file__).parent.parent / "fixtures" / "ggml-blocks" / "blocks.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(formats, indent=1) + "\n")


def text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


if __name__ == "__main__":
    main()
