"""SentencePiece models in the manner of T5, XLM-R and Llama, and the ids that `sentencepiece` gives; what `transformers`
makes of two of them as Marian's.

    python test/parity/record/sentence_piece.py

Needs sentencepiece and transformers (scripts/peers.mjs makes such an environment). `unigram.model` and `bpe.model` are learned from the
texts; a part of their characters is left out, so that there are unknown ones and bytes. Their map of characters is
left out of the file and lies beside them once, as `../unigram/nmt_nfkc.bin`.
"""

import io
import json
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from transformers import MarianTokenizer

FIXTURES = Path(__file__).parent.parent / "fixtures"
FOLDER = FIXTURES / "sentence-piece"

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the quick dog sleeps.",
    "  two  spaces,\ttab\nnewline\r\nand   more   ",
    "def f(x: int) -> str:\n    return f\"{x!r:>10}\" if x != 0 else '`a``b'''\n",
    "Straße naïve e\u0301tude ﬁn ſ K Ⅷ ½ ² ㎏",
    "日本語のテキスト、한국어 텍스트, ข้อความภาษาไทย, हिन्दी पाठ, نص عربي، טקסט עברי",
    "Ελληνικά ΣΊΣΥΦΟΣ, Русский язык, ქართული, தமிழ், አማርኛ, հայերեն",
    "🙂 👍🏽 ❤️ x🙂🙂y 👩‍👧 🇪🇺",
    "0 42 1234567 3.14 1,000,000 ٣ १२",
    "\u00a0nbsp\u2003em\u3000wide\u200bzero",
    "",
    " ",
    "a",
    "＊ｆｕｌｌｗｉｄｔｈ ①②③ ｶﾅ ￥",
    "▁ low ▁a",
    "the dog the dog " * 5,
]


def learned(kind: str, **settings: object) -> sentencepiece_model_pb2.ModelProto:
    writer = io.BytesIO()
    corpus = [text for text in [*TEXTS[:4], *TEXTS[5:6], TEXTS[7], "abcdefghijklmnopqrstuvwxyz .,"] for _ in range(3)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=writer,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(writer.getvalue())
    return proto


CODED = [">>de<< The dog", " >>de<< dog", ">>xx<<fox", "the >>fr<< fox", "the</s>dog <pad> x", ">>de<<"]


def marian(source: sentencepiece_model_pb2.ModelProto, target: sentencepiece_model_pb2.ModelProto) -> dict[str, object]:
    pieces = {piece.piece for proto in (source, target) for piece in proto.pieces if piece.type == 1}
    # Some pieces have no number, as in Marian's own vocabularies.
    tokens = ["</s>", "<unk>", *sorted(pieces)[5:], ">>de<<", ">>fr<<", "<pad>"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.spm").write_bytes(source.SerializeToString())
        (folder / "target.spm").write_bytes(target.SerializeToString())
        (folder / "vocab.json").write_text(json.dumps({token: id for id, token in enumerate(tokens)}))
        tokenizer = MarianTokenizer.from_pretrained(folder)
        texts = TEXTS + CODED
        return {
            "tokens": tokens,
            "texts": texts,
            "source": [tokenizer(text).input_ids for text in texts],
            "target": [tokenizer(text_target=text).input_ids for text in texts],
        }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    charsmap = (FIXTURES / "unigram" / "nmt_nfkc.bin").read_bytes()
    t5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    whole = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    models = {
        "unigram": learned("unigram", vocab_size=260, normalization_rule_name="nmt_nfkc", **t5),
        "bytes": learned("unigram", vocab_size=480, normalization_rule_name="nmt_nfkc", byte_fallback=True),
        "fairseq": learned("unigram", vocab_size=240, normalization_rule_name="nmt_nfkc"),
        "bpe": learned("bpe", vocab_size=480, normalization_rule_name="nmt_nfkc", byte_fallback=True),
        "llama": learned("bpe", vocab_size=480, byte_fallback=True, **whole),
        "unprefixed": learned(
            "bpe", vocab_size=500, byte_fallback=True, add_dummy_prefix=False, user_defined_symbols=["▁▁", "<turn>"], **whole
        ),
    }
    pair = json.dumps(marian(models["unigram"], models["fairseq"]), separators=(",", ":"))
    (FOLDER / "marian.jsonl").write_text(pair + "\n")
    lines = []
    for name, proto in models.items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        ids = [processor.encode(text) for text in TEXTS]
        lines.append({"name": name, "ids": ids, "decoded": [processor.decode(row) for row in ids]})
        has_map = proto.normalizer_spec.precompiled_charsmap != b""
        assert not has_map or proto.normalizer_spec.precompiled_charsmap == charsmap
        proto.normalizer_spec.ClearField("precompiled_charsmap")
        (FOLDER / f"{name}.model").write_bytes(proto.SerializeToString())
        lines[-1]["mapped"] = has_map
    head = json.dumps({"texts": TEXTS}, separators=(",", ":"))
    rows = [json.dumps(line, separators=(",", ":")) for line in lines]
    (FOLDER / "recorded.jsonl").write_text("\n".join([head, *rows]) + "\n")


if __name__ == "__main__":
    main()
