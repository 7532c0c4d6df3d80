"""Records what transformers makes of a conversation with tools, and which of it the assistant has said.

    python3 test/parity/record/tools.py

Needs transformers. The template is Hermes' way to write tools, with the tags that say what is the assistant's; tests give
it to us without them.
"""

import json
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

TOOL = {
    "type": "function",
    "function": {
        "name": "find_train",
        "description": "Trains between two towns.",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
    },
}
CALL = {"type": "function", "function": {"name": "find_train", "arguments": {"to": "Ulm"}}}
MESSAGES = [
    {"role": "system", "content": "You plan journeys."},
    {"role": "user", "content": "When does the next train to Ulm leave?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "find_train", "content": '{"at": "9:10"}'},
    {"role": "assistant", "content": "At ten past nine."},
    {"role": "user", "content": "And to Bonn?"},
    {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, CALL]},
    {"role": "tool", "name": "find_train", "content": "none"},
    {"role": "assistant", "content": "There is none."},
]
TEMPLATE = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- '# Tools\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' + tool | tojson }}{%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
        {{- message.content }}
        {%- for call in message.tool_calls or [] %}
            {{- '<tool_call>\\n' + call.function | tojson + '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

[text], [spans] = render_jinja_template([MESSAGES], tools=[TOOL], chat_template=TEMPLATE, return_assistant_tokens_mask=True)
row = {"messages": MESSAGES, "tools": [TOOL]}
untagged = TEMPLATE.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
said = [text[start:end] for start, end in spans]
folder = Path(__file__).parent.parent / "fixtures" / "tools"
folder.mkdir(exist_ok=True)
record = {"row": row, "templates": {"tagged": TEMPLATE, "untagged": untagged}, "text": text, "said": said}
(folder / "tools.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
