"""Records what PyTorch computes, as fixtures that the parity tests compare Stemma with.

    python3 test/parity/record/record.py              every fixture
    python3 test/parity/record/record.py gpt1 gpt2    some of them

Needs PyTorch and nothing else (Debian: `apt-get install python3-torch`). The models are written out here in plain
PyTorch from their papers, with the configuration keys and tensor names of Hugging Face's folders, so that the weights
of a fixture are also a test of reading such a folder. Everything is computed in float64 and stored as float32; each
fixture is recorded only when PyTorch's own float32 agrees with it (`recorder.py`). Recording twice gives the same
bytes. README.md beside this file describes the files.
"""

import argparse
import os
import sys
from pathlib import Path

try:
    import torch
except ImportError:
    # `python3` may be another one than the Python which Debian's package serves.
    if sys.executable == "/usr/bin/python3" or not Path("/usr/bin/python3").exists():
        sys.exit("record: PyTorch is missing; install it, on Debian with `apt-get install python3-torch`")
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

from bert import bert_fixtures
from finetune import finetune_fixtures
from gpt import gpt_fixtures
from llama import llama_fixtures
from losses import loss_fixtures
from lstm import lstm_fixtures
from t5 import t5_fixtures

FIXTURES = {
    **gpt_fixtures,
    **bert_fixtures,
    **finetune_fixtures,
    **t5_fixtures,
    **llama_fixtures,
    **lstm_fixtures,
    **loss_fixtures,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"fixtures to record: {', '.join(FIXTURES)}")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "fixtures")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(FIXTURES))
    if unknown:
        parser.error(f"no fixture named {', '.join(unknown)}; there are {', '.join(FIXTURES)}")

    # One thread and a fixed order of sums: the same bytes on every recording.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in arguments.names or FIXTURES:
        torch.manual_seed(0)
        folder = arguments.output / name
        report = FIXTURES[name]().write(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name:20} {size / 1000:6.1f} kB  {report}")


if __name__ == "__main__":
    main()
