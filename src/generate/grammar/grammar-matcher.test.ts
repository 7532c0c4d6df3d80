import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { RandomSchemas } from "../../../test/random-schema.ts";
import { groupBy } from "../../core/group-by.ts";
import type { DrawReader } from "../../core/random.ts";
import { Random } from "../../core/random.ts";
import { specialToken } from "../../text/added-token.ts";
import { spellBytes } from "../../text/byte-alphabet.ts";
import { ByteLevelBpe } from "../../text/byte-level-bpe.ts";
import type { AnswerGrammar } from "./answer-grammar.ts";
import type { GrammarMatcher } from "./grammar-matcher.ts";
import { CompiledGrammar } from "./grammar-matcher.ts";
import { TokenVocabulary } from "./token-vocabulary.ts";

const utf8 = new TextEncoder();
/** Tokens that lie across pieces of JSON, and that are parts of characters. */
const pieces = [
  ...['{"', "{}", "[]", '":', '":"', '","', '", "', '"},', "}}", "]}", '{"a', '["a', "[[", "null", "true", "fal", "-1"],
  ...[
    "10",
    "0.5",
    "e1",
    "ab",
    " a",
    '  "',
    '\\"',
    "\\\\",
    "\\u00",
    ',"n',
    "na",
    'me":',
    "é",
    'é"',
    ':[{"',
    "24-",
    '": ',
  ],
].map((text) => spellBytes(utf8.encode(text)));
const parts = [
  [0xe2, 0x82],
  [0x82, 0xac],
  [0x9d, 0x84],
  [0xac, 0x22, 0x7d],
].map((bytes) => spellBytes(bytes));
const spelled = [...Array.from({ length: 256 }, (_, byte) => spellBytes([byte])), ...pieces, ...parts];
const vocabulary = new Map(spelled.map((token, id) => [token, id]));
const [end, call] = [vocabulary.size, vocabulary.size + 1];
const tokenizer = new ByteLevelBpe({
  ...{ vocabulary, merges: [] },
  addedTokens: [specialToken("<|end|>", end), specialToken("<call>", call)],
});
const tokens = new TokenVocabulary(tokenizer, 400);
const byFirstByte = groupBy([...spelled.keys()], (id) => tokens.trie.bytesOf(id)?.[0]);
const ajv = new Ajv2020({ strict: false });
formats.default(ajv);

function drawsOf(seed: number): DrawReader {
  return new Random(seed).reader();
}

function beginning(grammar: AnswerGrammar): GrammarMatcher {
  return new CompiledGrammar(grammar, tokens).begin([end]);
}

function isIn(mask: Int32Array, token: number): boolean {
  return (((mask[token >> 5] ?? 0) >>> (token & 31)) & 1) === 1;
}

function allowed(matcher: GrammarMatcher): number[] {
  const mask = matcher.allowed();
  return Array.from({ length: 400 }, (_, token) => token).filter((token) => isIn(mask, token));
}

/** Tokens that close what is open, and the end. */
const closers = new Set([end, ...spelled.keys()].filter((id) => id === end || /^["}\]]/.test(tokenizer.decode([id]))));

/** Tokens that close what is open come more and more often, so that every answer ends. */
function answer(matcher: GrammarMatcher, draws: DrawReader): string {
  const ids: number[] = [];
  while (!matcher.isFinished) {
    const some = allowed(matcher);
    const closing = some.filter((id) => closers.has(id));
    const from = closing.length > 0 && draws.uniform() < ids.length / 60 ? closing : some;
    const token = from[Math.floor(draws.uniform() * from.length)] as number;
    matcher.accept(token);
    if (token !== end) ids.push(token);
    if (ids.length > 5000) throw new Error("the answer does not end");
  }
  return tokenizer.decode(ids);
}

/** Reads a text along, cut into tokens at random. */
function read(matcher: GrammarMatcher, text: string, draws: DrawReader): void {
  const bytes = utf8.encode(text);
  for (let at = 0; at < bytes.length; ) {
    const fitting = (byFirstByte.get(bytes[at] as number) ?? []).filter((id) =>
      tokens.trie.bytesOf(id)?.every((byte, i) => bytes[at + i] === byte),
    );
    const token = fitting[Math.floor(draws.uniform() * fitting.length)] as number;
    const isAllowed = isIn(matcher.allowed(), token);
    if (!isAllowed) throw new Error(`${JSON.stringify(tokenizer.decode([token]))} at ${at} of ${text}`);
    matcher.accept(token);
    at += tokens.trie.bytesOf(token)?.length ?? 1;
  }
}

describe("JSON schemas", () => {
  test("every finished answer of random logits is valid", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { schema } = new RandomSchemas(drawsOf(seed)).draw();
      const isValid = ajv.compile(schema);
      const grammar = new CompiledGrammar({ kind: "json", schema }, tokens);
      for (let k = 0; k < 2; k++) {
        const text = answer(grammar.begin([end]), drawsOf(1000 * k + seed));
        expect(isValid(JSON.parse(text)), `${JSON.stringify(schema)}: ${text}`).toBe(true);
      }
    }
  });

  test("every valid value can be written, however it is cut into tokens, and only then does the answer end", () => {
    for (let seed = 0; seed < 50; seed++) {
      const draws = drawsOf(seed);
      const { schema, value } = new RandomSchemas(draws).draw();
      const grammar = new CompiledGrammar({ kind: "json", schema }, tokens);
      for (const indent of [0, 2]) {
        const one = value();
        expect(ajv.validate(schema, one), `${JSON.stringify(schema)}: ${JSON.stringify(one)}`).toBe(true);
        const matcher = grammar.begin([end]);
        read(matcher, JSON.stringify(one, null, indent), draws);
        expect(matcher.isComplete, JSON.stringify(one)).toBe(true);
        expect(isIn(matcher.allowed(), end)).toBe(true);
      }
    }
  });

  test("a mask has exactly the tokens of which every byte fits", () => {
    const draws = drawsOf(7);
    for (let seed = 200; seed < 210; seed++) {
      const { schema } = new RandomSchemas(drawsOf(seed)).draw();
      const matcher = beginning({ kind: "json", schema });
      for (let k = 0; k < 12 && !matcher.isFinished; k++) {
        const some = allowed(matcher);
        const accepted = [...Array(400).keys()].filter((token) => {
          try {
            matcher.fork().accept(token);
            return true;
          } catch {
            return false;
          }
        });
        expect(some).toEqual(accepted);
        matcher.accept(some[Math.floor(draws.uniform() * some.length)] as number);
      }
    }
  });
});

describe("JSON schemas", () => {
  test("that are not fulfilled: the text is refused", () => {
    const cases: [schema: object | boolean, texts: string[]][] = [
      [{ type: "integer", minimum: -12, maximum: 105 }, ["-13", "106", "1.0", "007", "-0", "1e2", "200"]],
      [{ type: "number", exclusiveMinimum: 0, maximum: 1.25 }, ["0", "0.000", "1.26", "1.251", "2", "-0.5"]],
      [{ type: "string", maxLength: 2 }, ['"abc"', '"\\u00e9ab"', '"€€€"', '"\n"', '"a', "'a'"]],
      [{ type: "string", pattern: "^a.c$" }, ['"ac"', '"a\\nc"', '"abcd"']],
      [{ type: "string", format: "date" }, ['"2023-02-29"', '"2023-13-01"', '"1900-02-29"']],
      [
        { type: "object", properties: { a: {} }, required: ["a"], additionalProperties: false },
        ["{}", '{"b":1}', '{"a":1,}'],
      ],
      [
        { properties: { a: { type: "null" } } },
        ['{"a":1}', '{"b":1,"a":1}', '{"\\u0061":1}', "[]", '{"b":1,"a":null}'],
      ],
      [{ type: "array", items: { type: "null" }, minItems: 1, maxItems: 2 }, ["[]", "[null,null,null]", "[null,]"]],
      [{ enum: ["a", 1, { b: [2] }], not: undefined }, ['"b"', "2", '{"b":[3]}', "null"]],
      [true, ["{", "[1,]", "nul", "01", "+1", "1.", ".5", '"\\x"', "undefined"]],
    ];
    for (const [schema, texts] of cases) {
      const record = JSON.parse(JSON.stringify(schema));
      for (const text of texts) {
        const matcher = beginning({ kind: "json", schema: record });
        const isRead = [...utf8.encode(text)].every((byte) => {
          const mayCome = isIn(matcher.allowed(), byte);
          if (mayCome) matcher.accept(byte);
          return mayCome;
        });
        expect(isRead && matcher.isComplete, `${JSON.stringify(schema)}: ${text}`).toBe(false);
      }
    }
  });
});

describe("JSON schemas that are", () => {
  test("wrong or not supported: keyword and place are named", () => {
    const cases: [schema: unknown, message: RegExp][] = [
      [{ properties: { a: { not: {} } } }, /#\/properties\/a: the keyword "not" is not supported/],
      [{ type: "text" }, /#\/type must be one of null, .*got "text"/],
      [{ items: { minLength: -1 } }, /#\/items\/minLength must be at least 0, got -1/],
      [{ $ref: "#/$defs/x" }, /#\/\$ref: "#\/\$defs\/x" refers to nothing/],
      [{ $ref: "https://example.org/x" }, /is not within the schema itself/],
      [{ anyOf: [{ $ref: "#" }] }, /refers to itself without end/],
      [{ type: "string", pattern: "(?=a)" }, /#\/pattern: "\(\?=a\)" has \(\?=…\), which is not supported/],
      [{ type: "string", pattern: "(" }, /is not a valid regular expression/],
      [{ type: "string", format: "iri" }, /#\/format: "iri" is not supported; known are date/],
      [{ oneOf: [{ type: "integer" }, { type: "number" }] }, /#\/oneOf: alternatives 0 and 1 may both allow a value/],
      [{ type: "integer", minimum: 3, maximum: 2 }, /no text fits/],
      [{ type: "array", minItems: 1e6, items: {} }, /more than 50000 states/],
      ["no", /must be an object, true or false/],
      [{ type: "string", pattern: "^(a?){5000}$" }, /too many optional parts in a row/],
      [
        { anyOf: Array(200).fill({ type: "integer" }), allOf: [{ anyOf: Array(200).fill({ maximum: 3 }) }] },
        /more than 500 alternatives/,
      ],
    ];
    for (const [schema, message] of cases) {
      expect(() => new CompiledGrammar({ kind: "json", schema }, tokens), JSON.stringify(schema)).toThrow(message);
    }
  });

  test("referred to again and again: each is read once", () => {
    const levels = Array.from({ length: 60 }, (_, i) => `#/$defs/${i + 1}`);
    const doubled = levels.map(($ref) => ({ allOf: [{ $ref }, { $ref, properties: { next: { $ref } } }] }));
    const $defs = Object.fromEntries([...doubled, { type: "object", required: ["a"] }].map((one, i) => [i, one]));
    const matcher = beginning({ kind: "json", schema: { $defs, $ref: "#/$defs/0" } });
    for (const byte of utf8.encode('{"next":{"a":1},"a":2}')) matcher.accept(byte);
    expect(matcher.isFinished).toBe(true);
  });

  test("ambiguous: ways to understand a text do not multiply", () => {
    const tree = {
      anyOf: [
        { type: "array", items: { $ref: "#" } },
        { type: "array", items: { anyOf: [{ $ref: "#" }, true] } },
      ],
    };
    const matcher = beginning({ kind: "json", schema: tree });
    for (let k = 0; k < 200; k++) matcher.accept("[".charCodeAt(0));
    for (let k = 0; k < 200; k++) matcher.accept("]".charCodeAt(0));
    expect(matcher.isFinished).toBe(true);
  });
});

describe("texts put together", () => {
  const grammar: AnswerGrammar = {
    kind: "sequence",
    parts: [
      { kind: "text", without: ["<call>"] },
      {
        kind: "choice",
        options: [
          { kind: "literal", text: "!" },
          {
            kind: "list",
            of: {
              kind: "sequence",
              parts: [
                { kind: "literal", text: "<call>" },
                { kind: "json", schema: { type: "integer" } },
              ],
            },
            separator: "\n",
          },
        ],
      },
    ],
  };

  test("free text ends where a mark begins, and what follows it is held to its schema", () => {
    const matcher = beginning(grammar);
    read(matcher, "<cal <<call>1", drawsOf(1));
    expect(matcher.isComplete).toBe(true);
    expect(allowed(matcher).filter((id) => id < 256)).toEqual([10, ...Array.from({ length: 10 }, (_, i) => 48 + i)]);
    expect(() => matcher.accept("x".charCodeAt(0))).toThrow("token 120 does not fit here");
  });

  test("a special token stands for its name, and nowhere else", () => {
    const matcher = beginning(grammar);
    read(matcher, "a", drawsOf(1));
    expect(isIn(matcher.allowed(), call)).toBe(true);
    matcher.accept(call);
    expect(isIn(matcher.allowed(), call)).toBe(false);
    const inString = beginning({ kind: "json", schema: { type: "string" } });
    read(inString, '"a', drawsOf(1));
    expect(allowed(inString)).not.toContain(call);
    expect(allowed(inString)).not.toContain(end);
  });

  test("logits of what may not come are −∞; after the end nothing but the end comes", () => {
    const matcher = beginning({ kind: "literal", text: "ab" });
    const logits = new Float32Array(400).fill(1);
    matcher.lower(logits);
    const kept = [...logits.keys()].filter((token) => logits[token] === 1);
    expect(kept.map((token) => tokenizer.decode([token]))).toEqual(["a", "ab"]);
    matcher.accept(vocabulary.get("ab") as number);
    expect([matcher.isComplete, matcher.isFinished]).toEqual([true, true]);
    matcher.accept(end);
    expect(allowed(matcher)).toEqual([end]);
  });
});
