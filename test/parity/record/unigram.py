"""Unigram tokenizers in the manner of T5, XLM-R, ALBERT, DeBERTa and Llama, and what `tokenizers` makes of texts.

    python test/parity/record/unigram.py

Needs tokenizers and sentencepiece (scripts/peers.mjs makes such an environment). The pieces are learned by the library's
own trainer; the map of characters is SentencePiece's `nmt_nfkc`, which T5 and XLM-R have.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).parent.parent / "fixtures" / "unigram"

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the quick dog sleeps.",
    "  two  spaces,\ttab\nnewline\r\nand   more   ",
    "def f(x: int) -> str:\n    return f\"{x!r:>10}\" if x != 0 else '`a``b'''\n",
    "Straße naïve e\u0301tude ﬁn ſ K Ⅷ ½ ² ㎏ ﷺ",
    "日本語のテキスト、한국어 텍스트, ข้อความภาษาไทย, हिन्दी पाठ, نص عربي، טקסט עברי, Ελληνικά ΣΊΣΥΦΟΣ, Русский, ქართული, தமிழ், አማርኛ, 𐍈𐌰",
    "🙂 👩‍👩‍👧‍👦 🇪🇺 ❤️ 👍🏽 x🙂🙂y",
    "0 42 1234567 3.14 1,000,000 ٣ १२",
    "\u00a0nbsp\u2003em\u3000wide\u200bzero\u200djoin\ufeffbom\u0000nul\u0007bell\u007f",
    "",
    " ",
    "a",
    "<unk> <s> </s> x<unk>y",
    "the<extra_id_0>quick <extra_id_1> end</s>",
    "﹏～ｆｕｌｌｗｉｄｔｈ ①②③ ｶﾞ ￥",
    "\ufffd half",
    "▁▁ low lines ▁a",
    "İstanbul IŞIK",
]


def charsmap() -> bytes:
    model = io.BytesIO()
    text = iter(["the quick brown fox", "jumps over the lazy dog", "a b c d e f g h i j k l m n o p q r s t u v w x y z"] * 20)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=text, model_writer=model, vocab_size=34, normalization_rule_name="nmt_nfkc", minloglevel=2
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def learned(pre_tokenizer: pre_tokenizers.PreTokenizer) -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=330, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    # A quarter of the characters is left out, so that there are unknown ones.
    words = [word for text in TEXTS[:4] + TEXTS[5:8] for word in text.split()]
    tokenizer.train_from_iterator([" ".join(words), *TEXTS[:4], "the end of the text" * 3, "abcdefghijklmnopqrstuvwxyz .,"], trainer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    return sorted(map(tuple, vocabulary[3:]), key=lambda pair: (-pair[1], pair[0]))


def tokenizers() -> dict[str, Tokenizer]:
    metaspace = pre_tokenizers.Metaspace
    pieces = learned(metaspace())
    crossing = [("▁the▁quick", -3.0), ("▁▁", -4.0), ("k▁b", -3.5)]
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    sentinels = [(f"<extra_id_{i}>", 0.0) for i in (1, 0)]
    nmt = normalizers.Precompiled(charsmap())
    made = {}

    def make(name, normalizer, pre_tokenizer, decoder, vocabulary, byte_fallback=False):
        tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=byte_fallback))
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if pre_tokenizer is not None:
            tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoder
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
        )
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ("<pad>", "</s>", "<unk>")])
        made[name] = tokenizer
        return tokenizer

    t5 = make("t5", nmt, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()]), decoders.Metaspace(), specials + pieces + sentinels)
    t5.add_special_tokens([AddedToken(token, special=True, lstrip=True, rstrip=True, normalized=False) for token, _ in sentinels])
    spm = normalizers.Sequence([nmt, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    make("converted", spm, metaspace(), decoders.Metaspace(), specials + pieces)
    albert = normalizers.Sequence(
        [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), nmt]
    )
    make("albert", albert, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()]), decoders.Metaspace(), specials + pieces)
    deberta = normalizers.Sequence(
        [normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), normalizers.NFC(), normalizers.Strip(left=False, right=True)]
    )
    make("deberta", deberta, pre_tokenizers.Sequence([metaspace(prepend_scheme="first")]), decoders.Metaspace(prepend_scheme="first"), specials + pieces)
    make("stripped", normalizers.Strip(), metaspace(), decoders.Metaspace(), specials + pieces)
    make("never", normalizers.NFKC(), metaspace(prepend_scheme="never", split=False), decoders.Metaspace(prepend_scheme="never"), specials + pieces + crossing)
    make("whole", None, metaspace(split=False), decoders.Metaspace(), specials + pieces + crossing)
    bytes_ = [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    make(
        "bytes",
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        None,
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        specials + bytes_ + pieces + crossing,
        byte_fallback=True,
    )
    return made


def training(randomness: random.Random) -> dict[str, object]:
    """A text, and how likely it is by the pieces that the library's trainer learns from it, in nats."""
    stems = ["walk", "talk", "jump", "quick", "slow", "light", "dark", "read", "write", "tokenize", "learn"]
    ends = ["", "s", "ed", "ing", "er", "ers", "ly", "ness"]
    text = " ".join(
        randomness.choices(stems, k=1)[0] + randomness.choices(ends, weights=range(8, 0, -1), k=1)[0] for _ in range(600)
    )
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    scores = dict(map(tuple, json.loads(tokenizer.to_str())["model"]["vocab"]))
    tokens = tokenizer.encode(text).tokens
    return {"text": text, "size": len(scores), "tokens": len(tokens), "log_likelihood": sum(scores[token] for token in tokens)}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "nmt_nfkc.bin").write_bytes(charsmap())
    randomness = random.Random(5)
    alphabet = sorted(set("".join(TEXTS))) + [" "] * 40 + list("the quick")
    texts = TEXTS + ["".join(randomness.choices(alphabet, k=24)) for _ in range(40)]
    cases = []
    for name, tokenizer in tokenizers().items():
        contents = json.loads(tokenizer.to_str())
        encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        case = {
            "name": name,
            "tokenizer": hidden(contents),
            "ids": encoded,
            "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in encoded],
            "without_special": [tokenizer.decode(ids) for ids in encoded],
            "pair": tokenizer.encode(texts[0], texts[2]).ids,
        }
        cases.append(case)
    lines = [{"texts": texts, "training": training(randomness)}, *cases]
    (FOLDER / "recorded.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def hidden(value: object) -> object:
    """The map of characters lies in a file of its own."""
    if isinstance(value, dict):
        return {key: "nmt_nfkc.bin" if key == "precompiled_charsmap" else hidden(item) for key, item in value.items()}
    return [hidden(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
