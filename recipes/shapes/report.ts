import type { Line } from "../charts.ts";
import { colours, grid, inHtml, lineChart } from "../charts.ts";
import type { Trained } from "./contest.ts";
import type { ContestantName } from "./contestants.ts";
import { contestants } from "./contestants.ts";
import type { GapScore } from "./gaps.ts";
import type { LearnedMap } from "./maps.ts";
import type { Sample } from "./samples.ts";

/** Everything found out about one contestant. */
export interface Result extends Trained {
  readonly name: ContestantName;
  readonly parameters: number;
  /** Those that a token meets. */
  readonly parametersAtWork: number;
  /** Bits a character of held-out text, each token from those before it; null where that is not what it learns. */
  readonly bitsPerCharacter: number | null;
  readonly gaps: GapScore;
  readonly sample: Sample;
  readonly map: LearnedMap;
}

/** The whole comparison, as the JSON file has it. */
export interface Comparison {
  readonly seed: number;
  readonly machine: string;
  readonly matmulPrecision: string;
  readonly gaps: number;
  readonly results: readonly Result[];
}

/** A comparison as one page without anything from elsewhere. */
export function reportPage({ seed, machine, matmulPrecision, gaps, results }: Comparison): string {
  const causal = results.filter(({ bitsPerCharacter }) => bitsPerCharacter !== null);
  const others = results.filter(({ bitsPerCharacter }) => bitsPerCharacter === null);
  const from = `Seed ${seed}.`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Shapes of language models, compared</title>
<style>${style}</style>
<h1>Shapes of language models, compared</h1>
<p>Each shape learned from the King James Bible for the same number of arithmetic operations, with about three million
weights at work, the same tokens (byte-level BPE of 2,048), batches of 16 × 128 tokens, and AdamW. Every 20th chapter was held
out; all figures are of held-out text. ${from} ${inHtml(machine)}, matrix products in ${matmulPrecision}.</p>
${table(results, gaps)}
<h2>What came out, with this seed</h2>
<ul>${findings(results)
    .map((line) => `<li>${line}</li>`)
    .join("")}</ul>
<h2>Loss of those that predict the next token</h2>
${legend(causal)}
<div class="row">
${figure(lineChart(lines(causal, "tokens", 1e6), { x: "million tokens", y: "bits a character" }), `By tokens seen. ${from}`)}
${figure(lineChart(lines(causal, "seconds", 1), { x: "seconds of training", y: "bits a character" }), `By time on this machine. ${from}`)}
</div>
<h2>Loss of the others</h2>
<p>These losses are not comparable with those above, nor with each other: a masked word is guessed from both sides, a stretch of
three tokens from what is left of the text.</p>
<div class="row">
${others
  .map((result) =>
    figure(
      lineChart(lines([result], "tokens", 1e6), { x: "million tokens", y: "nats" }),
      `${contestants[result.name].title}: ${contestants[result.name].ownLoss}. ${from}`,
    ),
  )
  .join("\n")}
</div>
<h2>Who sees whom, and what was learned</h2>
<p>A row looks at the columns. On the left what a shape allows; on the right the clearest head of the trained model, on a verse.</p>
${results.map((result) => card(result, from)).join("\n")}
</html>
`;
}

/** What the figures say, also where it is not what was expected. */
export function findings(results: readonly Result[]): string[] {
  const of = (name: ContestantName): Result | undefined => results.find((result) => result.name === name);
  const versus = (better: ContestantName, worse: ContestantName, claim: string): string[] => {
    const [a, b] = [of(better)?.bitsPerCharacter ?? null, of(worse)?.bitsPerCharacter ?? null];
    if (a === null || b === null) return [];
    const figures = `${contestants[better].title} ${a.toFixed(3)}, ${contestants[worse].title} ${b.toFixed(3)} bits a character`;
    return [`${claim}: <b>${a < b ? "holds" : "does not hold"}</b> at this scale (${figures}).`];
  };
  const ranked = [...results].sort((a, b) => b.gaps.ofTen - a.gaps.ofTen);
  const [first] = ranked;
  const filling = first
    ? [`One hidden word is best chosen by ${contestants[first.name].title} (${percent(first.gaps.ofTen)} of the gaps).`]
    : [];
  return [
    ...versus("gpt2", "lstm", "Attention with norms before the sub-layers beats the LSTM"),
    ...versus("gpt2", "gpt1", "Norms before the sub-layers beat norms after them"),
    ...versus("llama", "gpt2", "Rotary positions, RMS norms and gates beat GPT-2"),
    ...versus("moe", "llama", "Experts beat the dense model with as many weights at work (Llama)"),
    ...versus("gpt2", "prefix", "Learning every token beats learning those after a prefix, scored token by token"),
    ...filling,
  ];
}

function table(results: readonly Result[], gaps: number): string {
  const rows = results.map((result) => {
    const { title, from, scores, continues, fillsIn } = contestants[result.name];
    const { parameters, parametersAtWork, bitsPerCharacter } = result;
    const all = parameters === parametersAtWork ? "" : ` <small>of ${millions(parameters)}</small>`;
    const numbers = [
      `${millions(parametersAtWork)}${all}`,
      result.steps.toLocaleString("en-US"),
      millions(result.tokens),
      (result.operations / 1e12).toFixed(0),
      result.seconds.toFixed(0),
      bitsPerCharacter === null ? "–" : bitsPerCharacter.toFixed(3),
      percent(result.gaps.ofTen),
      percent(result.gaps.ofAll),
    ];
    const words = [scores, continues, fillsIn].map((text) => `<td class="words">${text}</td>`).join("");
    return `<tr><th>${title}<br><small>${from}</small></th>${numbers.map((n) => `<td>${n}</td>`).join("")}${words}</tr>`;
  });
  const headings = ["", "weights", "steps", "tokens", "10¹² op.", "s", "bits a char.", "of ten", "of all"];
  return `<table><thead><tr>${headings.map((h) => `<th>${h}</th>`).join("")}
<th>scores a text</th><th>continues it</th><th>fills gaps</th></tr></thead><tbody>${rows.join("\n")}</tbody></table>
<p class="note">Weights are those that a token meets. <i>Bits a character</i> is for those that predict each token from the ones
before. <i>Of ten</i> and <i>of all</i>: one word hidden in each of ${gaps} stretches of 64 tokens, and how often it is found best
among ten words that are right elsewhere, or among all tokens. Each shape uses all it can see: a decoder
scores the whole stretch with each of the ten, but guesses among all tokens from the left alone. Chance is 10 % and 0.05 %.
One standard error is about ${percent(Math.sqrt(0.25 / gaps))}.</p>`;
}

function card(result: Result, from: string): string {
  const { title, masks } = contestants[result.name];
  const size = 12;
  const places = Array.from({ length: size * size }, (_, i) => [Math.floor(i / size), i % size] as const);
  const drawn = masks.map((mask) =>
    figure(
      grid(
        places.map(([query, key]) => (mask.sees(query, key) ? 0.75 : 0)),
        size,
        { cell: 9 },
      ),
      mask.title,
    ),
  );
  const { map, sample } = result;
  const learned = grid(map.values, map.columns.length, { cell: 15, rowLabels: map.rows, columnLabels: map.columns });
  return `<section><h3>${title}</h3><div class="row"><div class="masks">${drawn.join("")}</div>
${figure(learned, `${map.title}. ${from}`)}
<div class="sample"><p><small>given</small><br>${inHtml(sample.given)}</p><p><small>made</small><br>${inHtml(sample.made.trim())}</p>
<p class="note">${from}</p></div></div></section>`;
}

function lines(results: readonly Result[], by: "tokens" | "seconds", unit: number): Line[] {
  return results.map(({ name, curve }) => ({
    label: contestants[name].title,
    colour: colourOf(name),
    points: curve.map((moment) => [moment[by] / unit, moment.loss] as const),
  }));
}

function legend(results: readonly Result[]): string {
  const entry = ({ name }: Result): string =>
    `<span><i style="background:${colourOf(name)}"></i>${contestants[name].title}</span>`;
  return `<p class="legend">${results.map(entry).join("")}</p>`;
}

function colourOf(name: ContestantName): string {
  return colours[Object.keys(contestants).indexOf(name) % colours.length] ?? "black";
}

function figure(drawing: string, caption: string): string {
  return `<figure>${drawing}<figcaption>${caption}</figcaption></figure>`;
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)} M`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

const style = `
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1120px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2rem; } h3 { margin: 0 0 .4rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th:first-child, td.words { text-align: left; } td:not(.words) { white-space: nowrap; } thead th { border-bottom: 2px solid #888; } thead th:nth-child(n+10) { text-align: left; }
small, .note, figcaption { color: #666; font-size: 12px; font-weight: normal; }
.row { display: flex; gap: 1.5rem; flex-wrap: wrap; align-items: flex-start; }
.legend span { margin-right: 1.2rem; } .legend i { display: inline-block; width: 1.4em; height: .3em; margin-right: .4em; vertical-align: middle; }
section { border-top: 1px solid #ddd; padding: 1rem 0; } figure { margin: 0; }
.masks { width: 150px; } .masks figure { margin-bottom: .6rem; } .sample { flex: 1; min-width: 300px; }
svg text { font: 11px system-ui, sans-serif; fill: #444; } svg .grid { stroke: #eee; } svg .axis { stroke: #888; }
svg .cell { fill: #26547c; } svg .frame { fill: none; stroke: #999; }
`;
