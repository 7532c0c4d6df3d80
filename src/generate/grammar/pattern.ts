import { SettingsError } from "../../core/errors.ts";
import { CharacterNetwork } from "./character-network.ts";
import { allCodePoints } from "./code-points.ts";
import type { Pattern } from "./pattern-syntax.ts";
import { parsePattern } from "./pattern-syntax.ts";

/**
 * The strings in which a regular expression finds something; `^` and `$` hold it to the string's ends.
 *
 * @throws {SettingsError} when it is not valid, not supported, or too large.
 * @see Thompson (1968), "Regular expression search algorithm", CACM 11(6).
 */
export function patternNetwork(source: string): CharacterNetwork {
  const network = new CharacterNetwork();
  const pattern = parsePattern(source);
  for (const option of pattern.kind === "choice" ? pattern.options : [pattern]) addOption(network, option);
  return network;
}

function addOption(network: CharacterNetwork, option: Pattern): void {
  const parts = option.kind === "sequence" ? option.parts : [option];
  const first = parts.findIndex(({ kind }) => kind !== "start");
  const from = first < 0 ? parts.length : first;
  let to = parts.length;
  while (to > from && parts[to - 1]?.kind === "end") to -= 1;
  const [start, end] = [network.state(), network.state()];
  network.join(network.start, start);
  network.join(end, network.end);
  if (from === 0) network.add(start, allCodePoints, start);
  if (to === parts.length) network.add(end, allCodePoints, end);
  build(network, { kind: "sequence", parts: parts.slice(from, to) }, start, end);
}

function build(network: CharacterNetwork, pattern: Pattern, from: number, to: number): void {
  switch (pattern.kind) {
    case "set":
      network.add(from, pattern.set, to);
      return;
    case "choice":
      for (const option of pattern.options) build(network, option, from, to);
      return;
    case "sequence": {
      let at = from;
      for (const part of pattern.parts) at = behind(network, part, at);
      network.join(at, to);
      return;
    }
    case "repeat":
      repeat(network, pattern, from, to);
      return;
    default:
      throw new SettingsError("has ^ or $ within it, which is supported at its two ends only; move it there");
  }
}

function repeat(
  network: CharacterNetwork,
  { of, least, most }: Extract<Pattern, { kind: "repeat" }>,
  from: number,
  to: number,
): void {
  let at = from;
  for (let i = 0; i < least; i++) at = behind(network, of, at);
  if (most === null) {
    const loop = network.state();
    network.join(at, loop);
    build(network, of, loop, loop);
    network.join(loop, to);
    return;
  }
  for (let i = least; i < most; i++) {
    network.join(at, to);
    at = behind(network, of, at);
  }
  network.join(at, to);
}

function behind(network: CharacterNetwork, pattern: Pattern, from: number): number {
  const to = network.state();
  build(network, pattern, from, to);
  return to;
}
