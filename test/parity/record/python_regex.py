"""Records what Python's `re` finds, as a fixture for the test of `src/eval/python-pattern.ts`.

    python3 test/parity/record/python_regex.py
"""

import json
import re
from pathlib import Path

PATTERNS = [r'([0-9]+)$', r'#### (\-?[0-9\.\,]+)', r'(-?[$0-9.,]{2,})|(-?[0-9]+)', r'(?i)answer is \(?([A-D])\)?', r'(?s)<b>(.*?)</b>', r'(?m)^(\w+)$', r'^\w+', r'\A\w', r'\w\Z', r'(?P<q>[\'"]).*?(?P=q)', r'[^\W\d_]+', r'[\D]+', r'[\s\S]+?\n', r'\d{2,3}', r'\d{,2}x', r'a{x}', r'[]a]+', r'[^]a]+', r'[a\-z]+', r'\bword\b', r'\Bord', r'(?x) a b # c', r'(?<=is )\d+', r'(?!a)b', r'a|b|', r'\$\\boxed\{(.*?)\}', r'[\[\](){}]', r'é+', r'.', r'(a)(b)?', r'\x41|\u00e9|\U0001F642', r'(\w)\1', r'[.]', r':[\s]*(A|B)', r'[^\n]*$', r'[-+]?\d', r'[+-]', r'\s+', r'/', r'-', r'(?#c)a', r'(?a)\w+', r'[\w.-]+', r"[!-/:-@\[-`{-~]", r'\.', r'\-', r'\#', r'\ ', r'\"']
TEXTS = ['It is 42\n','x 12\n34','#### -1,234.5','cost $3.50 and 7','The Answer Is (B)','<b>a\nb</b>','one\ntwo words\nthree\r\nfour','say "hi" or \'yo\'','naïve 東京 ٣٤ x_1 🙂','aab abab bb 12x 3x','a{x} ]a[ (b) {c}','word sword words','$\\boxed{42}$ A é 🙂','Choice: B',' tab\tnbsp\u00a0\x1c|','a-b+c/d.e&f','']


def found(pattern: str) -> list:
    matches = [re.findall(pattern, text) for text in TEXTS]
    return [[list(one) if isinstance(one, tuple) else one for one in own] for own in matches]


def main() -> None:
    cases = [
        {"pattern": one, "found": found(one), "replaced": [re.sub(one, r"<\g<0>>", text) for text in TEXTS]}
        for one in PATTERNS
    ]
    path = Path(__file__).parent.parent / "fixtures" / "python-regex" / "cases.json"
    path.write_text(json.dumps({"texts": TEXTS, "cases": cases}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
