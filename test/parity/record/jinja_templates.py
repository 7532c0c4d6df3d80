"""Records what Jinja2 makes of templates, as a fixture for the tests of `src/text/jinja`.

    python3 test/parity/record/jinja_templates.py

Needs Jinja2. Each template runs with undefined names as errors and as empty, and with the white space of task files
(`keep_trailing_newline`) and of chat templates (`trim_blocks`, `lstrip_blocks`).
"""

import json
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Undefined

VARIABLES = dict(q="Is it?", flag=True, lst=["a","b","c"], nothing=None, n=3, f=2.5, d={"k":"v","items":1,"z":[1,2,{"y":None}]}, empty=[], uni="naïve 🙂🙂 東京", rows=[{"r":"user","c":" x "},{"r":"bot","c":"y"},{"r":"user","c":"z"}], s="  spaced out  ", big=[5,3,9,1], nl="a\nb\r\nc", choices={"text":["x","y"],"label":["A","B"]}, ans="B", neg=-7)
TEMPLATES = ["{{q}} {{flag}} {{lst}} {{nothing}} {{n}} {{f}} {{d}}","{{lst|join(', ')}}|{{lst[-1]}}|{{lst[1:]}}|{{lst[::-1]}}|{{uni[::-1]}}|{{uni|length}}|{{uni[6]}}",
"{{choices.label.index(ans)}}","{% for x in lst %}{{loop.index}}{{x}}{% if not loop.last %}, {% endif %}{% endfor %}","{% for x in empty %}a{% else %}none{% endfor %}",
"{{ 'yes' if flag else 'no' }}","{{ n // 2 }} {{ n / 2 }} {{ neg // 2 }} {{ neg % 3 }} {{ 2 ** 3 }} {{ -2 ** 2 }} {{ 2 ** -1 }} {{ 1 + 2 * 3 }} {{ n ~ 'x' ~ f }}",
"{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ s|trim }}","{{ d.k }} {{ d['items'] }} {{ d.z[2].y }} {{ d.get('nope', 4) }} {{ d.get('nope') }}",
"{% for k, v in d.items() %}{{k}}={{v}};{% endfor %}","{{ rows|map(attribute='r')|list }} {{ rows|selectattr('r','equalto','user')|map(attribute='c')|join('/') }} {{ rows|rejectattr('r','equalto','user')|list|length }}",
"{{ big|sort }} {{ big|sort(reverse=true) }} {{ big|max }} {{ big|min }} {{ big|sum }} {{ big|first }} {{big|last}} {{ big|reverse|list }}",
"{% set ns = namespace(x=0) %}{% for i in range(5) %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}","{% macro m(a, b=2) %}[{{a}}-{{b}}-{{varargs}}-{{kwargs}}]{% endmacro %}{{ m(1) }}{{ m(1,3) }}{{ m(b=5,a=4) }}{{ m(1,2,3,k=4) }}",
"a\n{% if true %}\nb\n{% endif %}\nc\n","  {%- if true -%}  x  {%- endif -%}  y","{# c #}z{% raw %}{{ x }}{% endraw %}","{{ 'a' 'b' }} {{ \"\\n\\x41\\u00e9\" }} {{ '\\'' }}",
"{{ 1 < 2 < 3 }} {{ 1 in [1,2] }} {{ 'a' not in 'abc' }} {{ not flag }} {{ flag and n }} {{ empty or 'e' }} {{ none is none }} {{ n is odd }} {{ n is divisibleby 3 }} {{ n is divisibleby(2) }} {{ q is string }} {{ d is mapping }}",
"{{ x is defined }} {{ x|default('dd') }} {{ q|default('dd') }} {{ ''|default('e', true) }}","{{ (1,2) }} {{ (1,) }} {{ [1,2] + [3] }} {{ 'ab' * 2 }} {{ [0]*3 }}",
"{{ q|upper|lower|title }} {{ 'hello wORLD foo-bar (baz)'|title }} {{ 'hELLO'|capitalize }} {{'hello wORLD x1y'.title()}}","{{ 3.7|int }} {{ '12'|int }} {{ 'x'|int }} {{ '3.9'|int }} {{ '2'|float }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 7|round }} {{ 42.55|round(1,'floor') }}",
"{{ d|tojson }} {{ lst|tojson }} {{ \"<a href='x'>\"|tojson }}","{{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c d'.split(' ',1) }} {{ 'a b c d'.rsplit(' ',1) }} {{ nl.splitlines() }} {{ 'a  b c '.split(None,1) }}",
"{{ '%s has %d and %.2f' % ('x', 3, 2.5) }} {{ '{0} and {1:.1f} {n:>4}|{0!r}'.format('a', 2.55, n=7) }} {{ '%s=%s'|format('a', 1) }}",
"{{ lst|batch(2)|list }} {{ lst|slice(2)|list }} {{ rows|groupby('r')|list }}","{{ 'the quick brown fox jumps'|truncate(12) }} {{ 'the quick brown fox jumps'|truncate(12, true) }}|{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}",
"{{ 'aXbXc'|replace('X','-') }} {{ 'aXbXc'.replace('X','-',1) }} {{ 'abc'.find('c') }} {{ 'a🙂c'.find('c') }} {{ 'abcabc'.rfind('b') }} {{ 'abcabc'.count('b') }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x','c')) }}",
"{% call(x) m2() %}<{{x}}>{% endcall %}" , "{% macro m2() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(x) m2() %}<{{x}}>{% endcall %}","{% filter upper %}abc{{n}}{% endfilter %}{% set y %}in{{n}}{% endset %}{{y}}{% set z | upper %}in{% endset %}{{z}}",
"{% with a=1, b=2 %}{{a}}{{b}}{% endwith %}","{% for x in rows if x.r == 'user' %}{{ loop.index0 }}{{x.c}}{{ loop.cycle('o','e') }}{{ loop.previtem.c if loop.previtem is defined else '^' }}{% endfor %}",
"{{ {'a': 1, 'b': [2]} }} {{ {'b':1,'a':2}|dictsort }} {{ dict(a=1) }} {{ {'a':1}|items|list }}","{{ lst|unique|list }} {{ ['a','A','b']|unique|list }} {{ 'abc'|list }} {{ 'abc'|reverse }} {{ 'x'|center(5) }}| {{ 5|string ~ 'a' }} {{ [1,2,3]|select('odd')|list }} {{ [1,2,3]|map('string')|list }}",
"{{ 1_000 + 0x10 }} {{ 1.0 }} {{ 1e3 }} {{ 3.0 * 2 }} {{ 10 / 5 }} {{ 7.0 // 2 }} {{ true + 1 }} {{ 1 == 1.0 }} {{ true == 1 }}",
"{{ q.isdigit() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'x'.zfill(3) }} {{ '-5'.zfill(4) }} {{ 'a'.ljust(3) }}|{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'TestX'.swapcase() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.index('b') }}",
"{{ x }}", "{{ d.nope }}", "{{ x.y }}", "{{ 'a' + 1 }}", "{{ nothing + 1 }}", "{{ x|upper }}", "{% for a in x %}{% endfor %}", "{{ lst[9] }}", "{{ n.nope.more }}", "{{ x if false }}", "{{ 1/0 }}", "{{ nothing|length }}", "{{ [] | first }}","{% for i in [1,2,3,4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
"{% for x in [[1,[2,[3]]]] recursive %}{{ loop.depth }}{% if x is iterable %}({{ loop(x) }}){% else %}{{x}}{% endif %}{% endfor %}","{{ lst.append('q') }}{{ lst }}","{{ 'x' in d }} {{ d.keys()|list }} {{ d.values()|list|length }}","{{- q -}}  {{+n}}  {{ - n }}","{% set a, b = 1, 2 %}{{a}}{{b}}{% if n == 3 and q or x %}t{% elif y %}{% else %}f{% endif %}","{{ 'a'|attr('upper') is callable }} {{ lst|join }} {{ [3,1,2]|sort|join(',') }} {{ ['b','A']|sort }} {{ 'ab'|e }} {{ '<&>'|e }} {{ 'two words here'|wordcount }} {{ -5|abs }}",
"{{ nl }}","{{ loop }}", "{{ [1, 2.0, 'x', none, true]|string }} {{ 1e20 }} {{ 1e-7 }} {{ 100000000000000000000 }}", "x{% if a %}", "{{ x", "{% nope %}", "{{ q|nope }}", "{{ q is nope }}", "{{ }}", "{% for %}", "{{ 'abc }}"]


def outcome(environment: Environment, template: str) -> dict:
    try:
        return {"text": environment.from_string(template).render(**json.loads(json.dumps(VARIABLES)))}
    except Exception as error:  # whatever Jinja2 raises is what is recorded
        return {"error": str(error)}


def main() -> None:
    cases = []
    for template in TEMPLATES:
        for undefined in (StrictUndefined, Undefined):
            for white in ({"keep_trailing_newline": True}, {"trim_blocks": True, "lstrip_blocks": True}):
                environment = Environment(undefined=undefined, extensions=["jinja2.ext.loopcontrols"], **white)
                strict = undefined is StrictUndefined
                cases.append({"template": template, "strict": strict, **white, **outcome(environment, template)})
    path = Path(__file__).parent.parent / "fixtures" / "jinja" / "cases.json"
    path.write_text(json.dumps({"variables": VARIABLES, "cases": cases}, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
