import { SettingsError } from "../../core/errors.ts";
import type { AnswerGrammar } from "./answer-grammar.ts";
import { AnswerGrammarRecord } from "./answer-grammar.ts";
import { Network } from "./network.ts";
import { JsonNetwork } from "./schema-network.ts";
import { specialMark } from "./token-vocabulary.ts";

/** JSON text of a grammar, at most. */
const longestGrammar = 256 * 1024;
/** Objects and lists within each other, at most. */
const deepestGrammar = 64;

/**
 * The network of a grammar, ready to be read along.
 *
 * @throws {SettingsError} when the record is none, or too large, a schema has a keyword that is wrong or not supported
 * (named, with its place), or no text fits.
 */
export function grammarNetwork(grammar: AnswerGrammar): Network {
  refuseLarge(grammar);
  const result = AnswerGrammarRecord.safeParse(grammar);
  if (!result.success) {
    throw new SettingsError(`grammar: is no such record (${result.error.issues[0]?.message}); see AnswerGrammar`);
  }
  const network = new Network();
  const { start, end } = network.rule();
  add(result.data, { network, json: new JsonNetwork(network) }, start, end);
  network.seal();
  return network;
}

/**
 * Makes sure of a grammar that a model somewhere else is going to be held to.
 *
 * @throws {SettingsError} as {@link grammarNetwork} does.
 */
export function checkGrammar(grammar: AnswerGrammar): void {
  refuseLarge(grammar);
  const key = JSON.stringify(grammar);
  if (!checkedBefore.delete(key)) grammarNetwork(grammar);
  checkedBefore.add(key);
  const [oldest] = checkedBefore;
  if (checkedBefore.size > mostRemembered && oldest !== undefined) checkedBefore.delete(oldest);
}

/** Grammars that were checked last, as JSON: the same ones come with every request of a program. */
const checkedBefore = new Set<string>();
const mostRemembered = 32;

function refuseLarge(grammar: AnswerGrammar): void {
  let level: unknown[] = [grammar];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepestGrammar) {
      throw new SettingsError(`grammar: nests more than ${deepestGrammar} deep; use $ref, or make it flatter`);
    }
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
  const { length } = JSON.stringify(grammar);
  if (length > longestGrammar) {
    throw new SettingsError(
      `grammar: has ${length} characters, ${longestGrammar} are allowed; make the schema smaller`,
    );
  }
}

interface Writer {
  readonly network: Network;
  readonly json: JsonNetwork;
}

function add(grammar: AnswerGrammar, writer: Writer, from: number, to: number): void {
  const { network, json } = writer;
  switch (grammar.kind) {
    case "json": {
      const start = network.node();
      network.free(from, start);
      network.byte(from, 0x20, 0x20, start); // tokenizers put a space before a word
      json.value(grammar.schema, start, to);
      return;
    }
    case "literal": {
      network.free(network.text(from, grammar.text), to);
      const marked = network.node();
      network.byte(from, specialMark, specialMark, marked);
      network.free(network.text(marked, grammar.text), to);
      return;
    }
    case "text":
      addText(network, grammar.without, from, to);
      return;
    case "sequence": {
      let at = from;
      for (const part of grammar.parts) {
        const next = network.node();
        add(part, writer, at, next);
        at = next;
      }
      network.free(at, to);
      return;
    }
    case "choice":
      for (const option of grammar.options) {
        const start = network.node();
        network.free(from, start);
        add(option, writer, start, to);
      }
      return;
    case "list": {
      const [start, end] = [network.node(), network.node()];
      network.free(from, start);
      add(grammar.of, writer, start, end);
      network.free(network.text(end, grammar.separator), start);
      network.free(end, to);
    }
  }
}

/**
 * Edges for bytes in which none of some texts is complete: each node is the longest beginning of one that was read last.
 *
 * @see Aho and Corasick (1975), "Efficient string matching", CACM 18(6).
 */
function addText(network: Network, without: readonly string[], from: number, to: number): void {
  const words = without.map((text) => [...new TextEncoder().encode(text)]);
  const complete = new Set(words.map((word) => word.join(" ")));
  const beginnings = words.flatMap((word) => word.slice(0, -1).map((_, i) => word.slice(0, i + 1).join(" ")));
  const nodes = new Map(["", ...beginnings].map((read) => [read, network.node()]));
  network.free(from, nodes.get("") ?? from);
  for (const [key, node] of nodes) {
    network.free(node, to);
    const read = key === "" ? [] : key.split(" ");
    for (let byte = 0; byte < 0xf5; byte++) {
      const ends = [...read, byte].map((_, i, all) => all.slice(i).join(" "));
      const next = nodes.get(ends.find((end) => nodes.has(end)) ?? "");
      if (next !== undefined && !ends.some((end) => complete.has(end))) network.byte(node, byte, byte, next);
    }
  }
}
