"""Records what EleutherAI's evaluation harness asks, and what it makes of given answers.

    python3 test/parity/record/harness.py

Needs `lm_eval`. The tasks and rows are those of `fixtures/harness/`. No model is asked: answers follow from a hash of
the request, so that what is recorded is the harness alone: examples, prompts, filters, metrics, errors and files.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "LMEVAL_DISABLE_MULTIPROC": "1", "DISABLE_MULTIPROC": "1"})

from lm_eval import simple_evaluate  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.loggers import EvaluationTracker  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from transformers.utils.chat_template_utils import render_jinja_template  # noqa: E402

FOLDER = Path(__file__).parent.parent / "fixtures" / "harness"
# Which tasks are asked with how many examples; None is all.
SHOTS = {0: None, 2: ("choice", "classes", "continued", "generated", "several", "validated", "voted"), 7: ("choice", "validated", "voted")}
BOOTSTRAP_ITERATIONS = 2000
# With a chat template: examples as turns of their own, and as a part of the question.
CHATS = {"chat-turns": True, "chat-one": False}
CHAT_TASKS = ("choice", "continued", "generated", "several", "whole")
SYSTEM = "Be brief."
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


class Hashed(LM):
    """Answers that follow from the request alone."""

    tokenizer_name = "hashed"

    def chat_template(self, chat_template=False):
        return TEMPLATE if chat_template else ""

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        rendered, _ = render_jinja_template(
            conversations=[chat_history],
            chat_template=TEMPLATE,
            add_generation_prompt=add_generation_prompt,
            bos_token="<s>",
        )
        return rendered[0]

    def loglikelihood(self, requests):
        out = []
        for request in requests:
            context, continuation = request.args
            value = digest(context, continuation)
            out.append((-8 * int.from_bytes(value[:4], "big") / 2**32 - 0.25 * len(continuation), value[4] % 3 == 0))
        return out

    def loglikelihood_rolling(self, requests):
        return [-1.25 * len(request.args[0]) - digest(request.args[0])[0] / 7 for request in requests]

    def generate_until(self, requests):
        out = []
        for place, request in enumerate(requests):
            value = digest(request.args[0], str(place))
            right = str(7 * (value[1] % 12))
            kinds = ("The answer is {}.", "it is {}\n", "#### {}", "I say B: {}", "Cost ${}, or 1,{}", "{}", "none", " {} ")
            out.append(kinds[value[0] % len(kinds)].replace("{}", right))
        return out


def record(names: list, shots: int, manager: TaskManager, **chat) -> dict:
    results = simple_evaluate(
        model=Hashed(), tasks=list(names), num_fewshot=shots, task_manager=manager, bootstrap_iters=BOOTSTRAP_ITERATIONS, **chat
    )
    with tempfile.TemporaryDirectory() as folder:
        tracker = EvaluationTracker(output_path=folder)
        tracker.general_config_tracker.model_name_sanitized = "recorded"
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        out = {}
        for name in names:
            tracker.save_results_samples(task_name=name, samples=samples[name])
            [path] = Path(folder, "recorded").glob(f"samples_{name}_*.jsonl")
            # Rows are in their own file; that they are read alike is in their hashes.
            own = [{k: v for k, v in json.loads(line).items() if k != "doc"} for line in path.read_text().splitlines()]
            kept = {key: results[key][name] for key in ("results", "higher_is_better", "n-samples", "n-shot", "task_hashes")}
            out[name] = {**kept, "samples": own}
    return out


def main() -> None:
    os.chdir(FOLDER)
    manager = TaskManager(include_path=str(FOLDER), include_defaults=False)
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    for shots, asked in SHOTS.items():
        path = FOLDER / f"recorded-{shots}.json"
        path.write_text(json.dumps(record(asked or names, shots, manager), ensure_ascii=False) + "\n")
        print(path.name, f"{path.stat().st_size / 1000:.0f} kB")
    for name, is_multiturn in CHATS.items():
        path = FOLDER / f"recorded-{name}.json"
        chat = {"apply_chat_template": True, "fewshot_as_multiturn": is_multiturn, "system_instruction": SYSTEM}
        recorded = record(CHAT_TASKS, 2, manager, **chat)
        path.write_text(json.dumps({"template": TEMPLATE, "system": SYSTEM, "tasks": recorded}, ensure_ascii=False) + "\n")
        print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
