"""Small byte-level BPEs that cut text in each of the ways that GGUF files name, and what `tokenizers` makes of texts.

    python test/parity/record/pre_tokenizers.py

Needs tokenizers (scripts/peers.mjs makes such an environment). The ways are those of the tokenizer.json of GPT-2, SmolLM and
StarCoder, Llama 3, OLMo 2, Qwen 2, GPT-4o, Mistral Nemo, BLOOM and Falcon.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from unigram import TEXTS

FOLDER = Path(__file__).parent.parent / "fixtures" / "pre-tokenizers"

CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def gpt4(numbers: str) -> str:
    return CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + numbers + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + REST


def cased(ending: str, numbers: str) -> str:
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    first = rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{ending}|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{ending}"
    return first + "|" + numbers + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + REST


def by(regex: str) -> list:
    split = pre_tokenizers.Split(Regex(regex), behavior="isolated", invert=False)
    return [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)

WAYS: dict[str, tuple[list, bool]] = {
    "gpt-2": ([WORDS], False),
    "smollm": ([pre_tokenizers.Digits(individual_digits=True), WORDS], False),
    "llama-bpe": (by(gpt4(r"\p{N}{1,3}")), True),
    "dbrx": (by(gpt4(r"\p{N}{1,3}")), False),
    "qwen2": (by(gpt4(r"\p{N}")), False),
    "gpt-4o": (by(cased(CONTRACTION + "?", r"\p{N}{1,3}")), False),
    "tekken": (by(cased("", r"\p{N}")), True),
    "bloom": (by(r" ?[^(\s|[.,!?…。，、।۔،])]+"), False),
    "falcon": (
        [
            pre_tokenizers.Punctuation(behavior="contiguous"),
            WORDS,
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), behavior="isolated", invert=False),
        ],
        False,
    ),
}

CORPUS = [
    *TEXTS,
    "It's I'LL they're WE'VE camelCase HTTPServer snake_case x+=1; y<=2 && z||w $5.00 #tag @name e-mail a/b\\c",
    "Grüße  aus   Köln,\n\n\tçà ñandú œuvre\r\n12345 6789 007 3.1415 2²½ ٣٤٥ १२३ 一二三 ４２",
    "हिन्दी पाठ। اردو متن۔ نص، عربي. 中文，标点。日本語、テキスト…",
]


def record(name: str) -> str:
    steps, ignores_merges = WAYS[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignores_merges))
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    written = json.loads(tokenizer.to_str())
    ids = [tokenizer.encode(text).ids for text in CORPUS]
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"tokenizer": written, "texts": CORPUS, "ids": ids}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n")
    return f"{name}: {tokenizer.get_vocab_size()} tokens, {sum(map(len, ids))} ids"


if __name__ == "__main__":
    for way in WAYS:
        print(record(way))
