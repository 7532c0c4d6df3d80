import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { Random } from "../../core/random.ts";
import { specialToken } from "../../text/added-token.ts";
import { spellBytes } from "../../text/byte-alphabet.ts";
import { ByteLevelBpe } from "../../text/byte-level-bpe.ts";
import { ChatTemplate, chatMl } from "../../text/chat-template.ts";
import { ChatEncoder } from "../../text/encode-chat.ts";
import type { GrammarMatcher } from "../grammar/grammar-matcher.ts";
import { CompiledGrammar } from "../grammar/grammar-matcher.ts";
import { TokenVocabulary } from "../grammar/token-vocabulary.ts";
import type { ToolCall } from "./tool-call-reader.ts";
import { ToolCallReader } from "./tool-call-reader.ts";
import { toolGrammar } from "./tool-grammar.ts";
import type { ToolFields } from "./tool-request.ts";
import { templateTurns, toolChoice } from "./tool-request.ts";
import type { ToolStyle } from "./tool-style.ts";
import { toolStyle } from "./tool-style.ts";

/** ChatML with tools in the system turn, as Hermes and Qwen have it. */
const hermes = `{%- if tools %}<|im_start|>system
Tools:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{- '\\n' + message.content if message.content else '' }}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}{{ call.function.arguments | tojson }}{{ '}' }}
{{- '\\n</tool_call>' }}
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** One call an answer, without a mark, as Llama 3.1 has it. */
const llama = `{%- for message in messages %}<|im_start|>{{ message.role }}

{% if loop.first and tools %}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}
{%- if message.tool_calls %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
{%- set call = message.tool_calls[0].function %}
{{- '{"name": "' + call.name + '", "parameters": ' }}{{ call.arguments | tojson }}{{ '}' }}
{%- else %}{{ message.content }}{% endif %}<|im_end|>
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant

{% endif %}`;

/** All calls in one list, as Mistral and SmolLM2 have it. */
const list = `{%- if tools %}{{ tools | tojson }}{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.tool_calls %}<tool_call>[{% for call in message.tool_calls %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}' }}
{%- if not loop.last %}, {% endif %}{% endfor %}]</tool_call>
{%- else %}{{ message.content }}{% endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

function encoderOf(template: string, marks: readonly string[] = []): ChatEncoder {
  const vocabulary = new Map(Array.from({ length: 256 }, (_, byte) => [spellBytes([byte]), byte]));
  const added = ["<|im_start|>", "<|im_end|>", ...marks].map((text, i) => specialToken(text, 256 + i));
  return new ChatEncoder(new ByteLevelBpe({ vocabulary, merges: [], addedTokens: added }), new ChatTemplate(template));
}

const weather = {
  type: "object",
  properties: { city: { $ref: "#/$defs/name" }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city"],
  additionalProperties: false,
  $defs: { name: { type: "string", pattern: "^[A-Z][a-z]{1,9}$" } },
};
const fields: ToolFields = {
  tools: [
    { type: "function", function: { name: "get_weather", parameters: weather } },
    { type: "function", function: { name: "now" } },
  ],
};

/** The parts of an answer whose text comes a few characters at a time. */
function readBy(style: ToolStyle, text: string, size: number): { content: string; calls: ToolCall[] } {
  let id = 0;
  const reader = new ToolCallReader(style, () => `call_${id++}`);
  const pieces = [...(text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [])].map((piece) => reader.push(piece));
  const all = [...pieces, reader.end()];
  return { content: all.map(({ content }) => content).join(""), calls: all.flatMap(({ calls }) => calls) };
}

/** Tokens of random logits; the end comes when it may and the answer is long. */
function randomAnswer(matcher: GrammarMatcher, seed: number): number[] {
  const draws = new Random(seed).reader();
  const ids: number[] = [];
  while (!matcher.isFinished) {
    const mask = matcher.allowed();
    const some = [...Array(300).keys()].filter((id) => ((mask[id >> 5] ?? 0) >>> (id & 31)) & 1);
    const drawn = some[Math.floor(draws.uniform() * some.length)] ?? 0;
    const token = some.includes(257) && ids.length > 300 ? 257 : drawn;
    matcher.accept(token);
    if (token !== 257) ids.push(token);
  }
  return ids;
}

function callOf(id: number, name: string, given: object): ToolCall {
  return { id: `call_${id}`, type: "function", function: { name, arguments: JSON.stringify(given) } };
}

describe("how a template writes calls", () => {
  test("is found by rendering them", () => {
    expect(toolStyle(encoderOf(hermes).writer)).toEqual({
      head: '<tool_call>\n{"name": "',
      middle: '", "arguments": ',
      tail: "}\n</tool_call>",
      between: '}\n</tool_call>\n<tool_call>\n{"name": "',
      mark: "<tool_call>",
    });
    expect(toolStyle(encoderOf(llama).writer)).toEqual({
      head: '{"name": "',
      middle: '", "parameters": ',
      tail: "}",
      between: null,
      mark: null,
    });
    expect(toolStyle(encoderOf(list).writer)).toEqual({
      head: '<tool_call>[{"name": "',
      middle: '", "arguments": ',
      tail: "}]</tool_call>",
      between: '}, {"name": "',
      mark: "<tool_call>",
    });
  });

  test("a template without tools is refused", () => {
    expect(() => toolStyle(encoderOf(chatMl).writer)).toThrow(/^tools: the model's chat template does not know them/);
  });
});

describe("reading answers", () => {
  const style = toolStyle(encoderOf(hermes).writer);
  const two =
    'Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "U}\\"lm"}}\n</tool_call>\n' +
    '<tool_call>\n{"name":"now","arguments":{}}\n</tool_call>';

  test("calls and what is said are the same however the text comes", () => {
    const expected = {
      content: "Let me see.",
      calls: [callOf(0, "get_weather", { city: 'U}"lm' }), callOf(1, "now", {})],
    };
    for (const size of [1, 2, 3, 7, 1000]) expect(readBy(style, two, size)).toEqual(expected);
  });

  test("what is no call is shown as it is, and nothing that may be one too early", () => {
    for (const text of ["a <tool < b\n", '<tool_call>\n{"name": "now"', "<tool_call> is a mark", "{}"]) {
      for (const size of [1, 4, 100]) expect(readBy(style, text, size)).toEqual({ content: text, calls: [] });
    }
    expect(new ToolCallReader(style).push("so \n<tool").content).toBe("so");
  });

  test("an answer that begins like a call without a mark is one if it is complete", () => {
    const bare = toolStyle(encoderOf(llama).writer);
    const call = '{"name": "now", "parameters": {}}';
    for (const size of [1, 5, 100]) {
      expect(readBy(bare, call, size)).toEqual({ content: "", calls: [callOf(0, "now", {})] });
      expect(readBy(bare, "{a set}", size)).toEqual({ content: "{a set}", calls: [] });
      expect(readBy(bare, `It is ${call}`, size)).toEqual({ content: `It is ${call}`, calls: [] });
    }
  });
});

describe("what must be called", () => {
  const choose = (more: Partial<ToolFields>) => toolChoice({ ...fields, ...more });

  test("follows from tool_choice; what is wrong is named", () => {
    expect(toolChoice({})).toBeNull();
    expect(choose({ tool_choice: "none" })).toBeNull();
    expect(choose({})).toMatchObject({ isRequired: false, isParallel: true });
    const named = choose({ tool_choice: { type: "function", function: { name: "now" } } });
    expect(named).toMatchObject({ isRequired: true, isParallel: false, tools: [fields.tools?.[1]] });
    expect(() => choose({ tool_choice: { type: "function", function: { name: "x" } } })).toThrow(
      'tool_choice: there is no tool "x"; the tools are get_weather, now',
    );
    expect(() => toolChoice({ tool_choice: "required" })).toThrow(
      "tool_choice: asks for a call, but there are no tools",
    );
  });

  test.each([
    ["in marks", hermes, []],
    ["in marks that are special tokens", hermes, ["<tool_call>", "</tool_call>"]],
    ["without marks", llama, []],
    ["in a list", list, []],
  ])("calls %s fit their schemas, whatever the logits", (_, template, marks) => {
    const encoder = encoderOf(template, marks);
    const style = toolStyle(encoder.writer);
    const choice = choose({ tool_choice: "required" });
    const grammar = choice && toolGrammar(style, choice);
    if (!grammar) throw new Error("there is no grammar");
    const compiled = new CompiledGrammar(grammar, new TokenVocabulary(encoder.tokenizer, 300));
    const isValid = new Ajv().compile(weather);
    const fits: Record<string, (given: object) => boolean> = {
      get_weather: (given) => isValid(given),
      now: (given) => Object.keys(given).length === 0,
    };
    const names = new Set<string>();
    for (let seed = 0; seed < 12; seed++) {
      const text = encoder.tokenizer.decode(randomAnswer(compiled.begin([257]), seed));
      const { content, calls } = readBy(style, text, 3);
      expect(content).toBe("");
      expect(calls.length).toBeGreaterThan(0);
      for (const { function: called } of calls) {
        names.add(called.name);
        expect(fits[called.name]?.(JSON.parse(called.arguments)), called.arguments).toBe(true);
      }
    }
    expect(names).toEqual(new Set(Object.keys(fits)));
  });

  test("an answer that may call may also only speak; without a mark nothing is held", () => {
    const choice = choose({});
    if (!choice) throw new Error("no tool may be called");
    expect(toolGrammar(toolStyle(encoderOf(llama).writer), choice)).toBeNull();
    const grammar = toolGrammar(toolStyle(encoderOf(hermes).writer), choice);
    const matcher =
      grammar && new CompiledGrammar(grammar, new TokenVocabulary(encoderOf(hermes).tokenizer, 300)).begin([257]);
    if (!matcher) throw new Error("there is no grammar");
    for (const byte of new TextEncoder().encode("Hi <tool_cal. <tool_call>")) matcher.accept(byte);
    expect(matcher.isComplete).toBe(false);
    expect(() => matcher.accept("x".charCodeAt(0))).toThrow("token 120 does not fit here");
  });
});

test("turns of earlier calls are rendered with arguments as objects", () => {
  const call = { id: "call_0", type: "function", function: { name: "now", arguments: '{"zone": "UTC"}' } };
  const turns = templateTurns([
    { role: "user", content: "When?" },
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "call_0", content: "noon" },
  ]);
  const text = encoderOf(hermes).promptText(turns);
  expect(text).toContain(
    '<|im_start|>assistant\n<tool_call>\n{"name": "now", "arguments": {"zone": "UTC"}}\n</tool_call><|im_end|>',
  );
  const broken = { ...call, function: { name: "now", arguments: "{" } };
  expect(() => templateTurns([{ role: "assistant", content: null, tool_calls: [broken] }])).toThrow(
    "messages[0].tool_calls[0].function.arguments: must be the JSON text of an object",
  );
});
