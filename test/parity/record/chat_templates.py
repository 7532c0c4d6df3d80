"""Records what Jinja2 makes of chat templates, as a fixture for the tests of `src/text/chat-template.ts`.

    python3 test/parity/record/chat_templates.py

Needs Jinja2. The environment is set up as `transformers` does it for `chat_template`: the immutable sandbox, line ends
behind tags and blanks before them dropped, `break` and `continue`, a `tojson` that escapes nothing for web pages, and
`tools` and `documents` that are None where nobody gives them.
"""

import json
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

FIND = {"type": "function", "function": {"name": "find_train", "description": "Trains between <two> towns & more.", "parameters": {"type": "object", "properties": {"to": {"type": "string"}, "at": {"type": ["number", "null"]}}, "required": ["to"]}}}
CALL = {"type": "function", "function": {"name": "find_train", "arguments": {"to": "Ulm", "at": 9.5, "days": [1, 2.5, True, None], "straße": "'q\""}}}
PLAIN = [{"role": "user", "content": "  One?\n"}, {"role": "assistant", "content": "\n    return x\n"}, {"role": "user", "content": "Naïve 🙂?"}]
SYSTEM = [{"role": "system", "content": " Be brief. "}, *PLAIN, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nFour."}]
TOOLED = [{"role": "user", "content": "To Ulm?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "name": "find_train", "content": '{"at": "9:10"}'}, {"role": "assistant", "content": "At ten past nine."}]
GIVEN = [
    {"messages": PLAIN, "add_generation_prompt": True},
    {"messages": SYSTEM},
    {"messages": TOOLED, "tools": [FIND]},
    {"messages": TOOLED, "tools": [FIND], "add_generation_prompt": True, "enable_thinking": False},
    {"messages": PLAIN[1:]},
]

FAMILIES = [
    # one string after the other, as of ChatML
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    # a system turn inside the first one, turns that must alternate, strip with and without an argument
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.lstrip('\\n').rstrip('\\n ') + ' ' + eos_token }}{% endif %}{% endfor %}",
    # tools as JSON, indented; what a call was; trim; defined and not defined
    """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n'+ message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' + arg_val | string + '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}
""",
    # thoughts of earlier turns are cut away: namespace, reversed lists, split, strip of one character
    """{%- if tools %}
    {{- '<tools>' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    # other roles' names, ternaries, and an error
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    # macros that render a schema, recursively
    """{%- macro type_of(schema, depth=0) -%}
  {%- if schema.properties is defined -%}
    { {%- for name, inner in schema.properties | dictsort %} {{ name }}{{ "?" if name not in schema.required }}: {{ type_of(inner, depth + 1) }}{{ "," if not loop.last }}{% endfor %} }
  {%- elif schema.type is string -%}
    {{ schema.type }}
  {%- else -%}
    {{ schema.type | join(" | ") }}
  {%- endif -%}
{%- endmacro -%}
{% for tool in tools or [] %}
type {{ tool.function.name }} = (_: {{ type_of(tool.function.parameters) }}) => any; // {{ tool.function.description.split('.')[0] | upper }}
{% endfor %}
{% for m in messages if m.content %}
  {% if m.role == 'user' %}
  Q{{ loop.index }}: {{ m.content | trim }}
  {% else %}
  A{{ loop.index }}: {{ m.content.replace('\\n', ' ', 1) | trim }}
  {% endif %}
{% endfor %}""",
    # texts with % and ~, slices, break and continue, title, dict methods
    "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ '%s (%d/%d): ' % (m.role.title(), loop.index, loop.length) ~ m.get('content', '')[:4] ~ m.get('name', 'none') }}{{ loop.cycle(';', '|') }}{% endfor %}{{ messages[-1]['content'][-3:] }}{{ messages | map(attribute='role') | list }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
]

CONSTRUCTS = [
    "{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}",
    "{% if true %}{% set x = 3 %}{% endif %}{{ x }}",
    "{{ 'xxabxx'.strip('x') }}|{{ ' ab '.lstrip() }}|{{ 'ab\\n\\n'.rstrip('\\n') }}|{{ '\\x1f\\ufeff a'.strip() }}|{{ 'abc'.strip('') }}",
    "{{ 'a,b,,c'.split(',') }}{{ 'a b  c'.split() }}{{ 'a-b-c'.split('-', 1) }}{{ 'a-b-c'.rsplit('-', 1) }}{{ ' a b c '.rsplit(None, 1) }}{{ ' a b c '.split(None, 1) }}{{ 'a-b'.split('-', 0) }}",
    "{{ 'abcabc'.replace('b', 'x', 1) }}{{ 'ab'.replace('', '-') }}{{ 'ab🙂'.replace('', '-', 2) }}{{ '🙂b'.replace('', '.') }}{{ 'aaa'.count('a') }}{{ 'ab'.count('') }}{{ 'abc'.find('c', 1) }}{{ 'abc'.find('a', -2) }}",
    "{{ \"it's o'neil\"|title }}{{ \"it's\".title() }}{{ 'ab CD'.capitalize() }}{{ 'ß'.upper() }}{{ 'aBc'.swapcase() }}{{ 'ab cd-ef'.title() }}",
    "{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith('b', 1) }}{{ 'abc'.isalpha() }}{{ ''.isdigit() }}{{ 'a1'.isalnum() }}{{ ' \\t'.isspace() }}{{ 'AB1'.isupper() }}",
    "{{ 'x'.center(6, '*') }}{{ 'xy'.center(5, '*') }}{{ 'x'|center(4) }}|{{ 'x'.ljust(3, '.') }}{{ 'x'.rjust(3) }}{{ '-1'.zfill(4) }}",
    "{{ 'a\\nb\\r\\nc\\n'.splitlines() }}{{ 'a\\nb'.splitlines(true) }}{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ ', '.join(['a', 'b']) }}{{ 'abc'.removesuffix('c') }}",
    "{{ '%s|%r|%d|%05.1f|%-4s|%+d|%%|%x|%e|%g|%5s' % ('a', 'b', 3.7, 2.25, 'c', 4, 255, 12345.678, 0.0001, 'é') }}{{ '%(a)s' % {'a': 1} }}{{ '%s' % 'x' }}{{ '%s' % [1, 2] }}",
    "{{ '{} {:.2f} {a!r:>5} {{}}'.format(1, 2.5, a='x') }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{:,}'.format(1234567) }}{{ '{:>6}|{:<6}|{:^6}|{:06.2f}'.format('a', 'b', 'c', 3.14159) }}{{ '{:.0%}'.format(0.25) }}",
    "{{ 1.0 }} {{ 1e20 }} {{ 4/2 }} {{ 7//2 }} {{ -7//2 }} {{ -7 % 3 }} {{ 2**3 }} {{ 2**-1 }} {{ 1e16 }} {{ 0.00001 }} {{ 1e-4 }} {{ 0.1 + 0.2 }} {{ 10**20 }} {{ -0.0 }} {{ 123456789.123 }} {{ 5.5e300 }}",
    "{{ {'a': [1, 2.0, none, true], 'b\\'c': 'd\\n'} }}{{ (1, 'a') }}{{ ((),) }}{{ [[]] }}{{ {1: 'x', none: 2} }}{{ 'a\"\\'b' | list }}{{ ['\\x07\\xa0é\\u200b🙂'] }}",
    "{{ {'a': [1, 2.0, none, true], 'é': '<&>\\'\\u2028'}|tojson }}{{ [1, {'a': []}]|tojson(indent=2) }}{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}{{ 'é🙂'|tojson(ensure_ascii=true) }}{{ [1, 2]|tojson(separators=(',', ':')) }}{{ {1: 1, none: 2}|tojson }}{{ []|tojson(indent=1) }}{{ 1e16|tojson }}",
    "{{ 'a\nb\n\nc'|indent(2) }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(2, false, true) }}|{{ 'a\nb'|indent('>>') }}|{{ 'a\nb'|indent(width=1, first=true) }}",
    "{{ '3'|int + 1 }} {{ 'x'|int(7) }} {{ '0x1f'|int(base=16) }} {{ '2.5'|float }} {{ 'q'|float(1.5) }} {{ 2.7|round }} {{ 2.5|round }} {{ 2.75|round(1) }} {{ 2.675|round(2) }} {{ 7|round }} {{ 2.1|round(0, 'ceil') }} {{ -3.5|abs }} {{ 3.9|int }}",
    "{{ ['b', 'A', 'c']|sort }}{{ ['b', 'A']|sort(case_sensitive=true) }}{{ [3, 1]|sort(reverse=true) }}{{ [{'a': 2}, {'a': 1}]|sort(attribute='a') }}{{ {'b': 1, 'a': 2}|dictsort }}{{ {'b': 1, 'a': 2}|dictsort(by='value') }}{{ [1, 1, 2]|unique|list }}{{ ['a', 'A']|unique|list }}",
    "{{ [1, 2, 3]|sum }}{{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }}{{ [1, 2]|first }}{{ []|first }}{{ [1, 2]|last }}{{ [1, 5]|max }}{{ ['b', 'A']|min }}{{ [1, 2, 3]|batch(2, 0)|list }}{{ [1, 2, 3]|slice(2)|list }}{{ 'abc'|reverse }}{{ [1, 2]|reverse|list }}{{ [1, 'a']|join('-') }}{{ [{'a': 1}]|join(',', attribute='a') }}",
    "{{ [{'a': {'b': 1}}, {'a': {'b': 2}}]|map(attribute='a.b')|list }}{{ [{}]|map(attribute='q', default='d')|list }}{{ ['a']|map('upper')|list }}{{ [1, 2, 3]|select('gt', 1)|list }}{{ [1, 2, 3]|reject('odd')|list }}{{ [{'a': 1}, {}]|selectattr('a')|list }}{{ [{'a': 1}, {}]|selectattr('a', 'defined')|list }}{{ [{'a': 1}]|rejectattr('a', 'equalto', 1)|list }}{{ [['x', 1]]|map(attribute=0)|list }}{{ [0, 1, '']|select|list }}",
    "{% for k, g in [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]|groupby('a') %}{{ k }}{{ g }}{% endfor %}{% for g in [{'a': 1}]|groupby('a') %}{{ g.grouper }}{{ g.list }}{% endfor %}",
    "{{ x is defined }}{{ x is undefined }}{{ none is none }}{{ 1 is number }}{{ 1.5 is float }}{{ 1 is integer }}{{ true is integer }}{{ true is number }}{{ 'a' is string }}{{ [] is sequence }}{{ {} is sequence }}{{ {} is iterable }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ range is callable }}{{ 'a' is lower }}{{ 'A' is upper }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}{{ 1 is eq 1 }}{{ 2 is gt 1 }}{{ 'a' is in 'abc' }}{{ 1 is not none }}{{ none is sameas none }}{{ true is true }}{{ 1 is true }}{{ 'upper' is filter }}",
    "{{ 1 in [1.0] }}{{ 'k' in {'k': 1} }}{{ true == 1 }}{{ 'a' < 'b' }}{{ [1, 2] < [1, 3] }}{{ (1, 2) == (1, 2) }}{{ [1] == (1,) }}{{ {'a': 1} == {'a': 1.0} }}{{ 1 < 2 < 3 }}{{ 1 < 2 > 5 }}{{ not 1 == 2 }}{{ 'z' < '🙂' }}{{ '\\uffff' < '🙂' }}{{ none == false }}",
    "{{ '🙂b'|length }}{{ '🙂bc'[1] }}{{ '🙂bc'[-2:] }}{{ 'abc'[::-1] }}{{ 'abcdef'[1:5:2] }}{{ 'abc'[9] }}{{ [1, 2][5] }}{{ [1, 2, 3][:-1] }}{{ (1, 2, 3)[1:] }}{{ [1, 2][-1] }}{{ 'abc'[10:] }}",
    "{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.changed(i // 2) }};{% endfor %}",
    "{% for i in [[1, [2]], [3]] recursive %}{{ loop.depth }}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{% endfor %}",
    "{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}{{ i }}/{{ loop.length }} {% else %}none{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }}|{{ f(1, 3, 5, 4, z=6) }}|{{ f(b=1, a=0) }}|{{ f() }}",
    "{% macro m(x) %}[{{ caller(x) }}]{% endmacro %}{% call(u) m(3) %}u={{ u }}{% endcall %}{% set y %}a{{ 1 }}{% endset %}{{ y }}{% set z | upper %}q{% endset %}{{ z }}{% filter upper|replace('A', 'b') %}abc{% endfilter %}{% with a=1, b=2 %}{{ a + b }}{% endwith %}",
    "a {% if true -%}  \n b {%- endif %} c\n\n",
    "  {% if true %}  \n  x\n  {% endif %}  \n  {# c #}\n y {{ 1 }}\n  {%+ if true %}z{% endif +%}\n!\n",
    "{%- for m in [1] -%}\n  x\n{%- endfor -%}  y",
    "\n{% if true %}\n\ta\n\t{% endif %}\n  {{ 1 }}\n\n{#- c -#}\n z {% raw %}{{ x }} {% if %}{% endraw %}{%- raw -%}  {{ y }} {%- endraw %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, %}{{ c }}{% set d = (1, 2) %}{{ d }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ 'a' if false }}{{ 1 if true else 2 if false else 3 }}",
    "{{ x.y }}", "{{ {}.y }}", "{{ {}.y.z }}", "{{ 'a'.nope() }}", "{{ foo() }}", "{{ none.x }}", "{{ none + 1 }}", "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ 1 < 'a' }}", "{{ x + 1 }}", "{% for x in none %}{% endfor %}", "{{ none|length }}",
    "{{ 'x'|nofilter }}", "{{ ''.__class__ }}", "{{ 'a'|attr('__class__') }}", "{{ [1, 2]|map('nope')|list }}", "{% break %}", "{{ 1 2 }}", "{% set x.y = 1 %}", "{% set x = {} %}{% set x.y = 1 %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{{ '%d' % 'a' }}", "{{ '%s %s' % ('a',) }}", "{{ '%s' % ('a', 'b') }}", "{{ x | tojson }}", "{{ 'a'.strip(1) }}", "{{ 1 // 0 }}", "{{ 'abc'.index('z') }}", "{% include 'x' %}", "{{ namespace(a=1).a }}{% set ns = namespace({'b': 2}, c=3) %}{% set ns.b = 4 %}{{ ns.b }}{{ ns.c }}{{ ns.d is defined }}", "{{ dict(a=1, **{'b': 2}) }}{{ dict([('a', 1)]) }}{{ [1, *[2]] }}", "{{ range(3)|list }}{{ range(1, 8, 3)|list }}{{ range(3, 0, -1)|list }}{{ 5 in range(6) }}", "{{ 'a' ~ 1 ~ none ~ 2.0 }}{{ 'a' 'b' }}{{ -1|abs }}{{ (-1)|abs }}{{ not true or true }}{{ 2 ** 3 ** 2 }}{{ 1 - 2 - 3 }}{{ 2 * 3 % 4 }}",
    "{{ 'abcdef ghi jkl'|truncate(8, leeway=0) }}{{ 'abcdefgh'|truncate(5, true, '~', 0) }}{{ 'a b c'|wordcount }}{{ '<a>'|e }}{{ '<'|safe }}{{ 'a'|default('b') }}{{ x|default('d') }}{{ ''|d('e', true) }}{{ none|default('f') }}",
    "{{ messages|length }}{{ messages[0].content is string }}{{ messages[0]['nope'] is defined }}{{ messages[0].get('nope') is none }}{{ messages|last == messages[-1] }}{{ messages[0].items()|list|length }}{{ messages[0].keys()|list }}{{ tools is none }}{{ tools is defined }}",
]


def environment() -> ImmutableSandboxedEnvironment:
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    return made


def outcome(template: str, given: dict) -> dict:
    variables = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None, "add_generation_prompt": False}
    try:
        return {"text": environment().from_string(template).render(**{**variables, **given})}
    except Exception as error:  # whatever Jinja2 raises is what is recorded
        return {"error": str(error)}


def main() -> None:
    families = [{"template": source, "given": i, **outcome(source, given)} for source in FAMILIES for i, given in enumerate(GIVEN)]
    constructs = [{"template": source, "given": 0, **outcome(source, GIVEN[0])} for source in CONSTRUCTS]
    path = Path(__file__).parent.parent / "fixtures" / "jinja" / "chat.json"
    path.write_text(json.dumps({"given": GIVEN, "cases": families + constructs}, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
