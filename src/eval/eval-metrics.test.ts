import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pythonJson } from "../text/jinja/python-text.ts";
import { sampleObjects, writeResults } from "./eval-results.ts";
import type { TaskResult } from "./run-task.ts";
import { runTask } from "./run-task.ts";
import type { Scorer } from "./scorer.ts";
import { TaskFile } from "./task-file.ts";
import type { Prompt } from "./task-prompts.ts";

const config = (given: object): TaskFile =>
  TaskFile.parse({ task: "t", dataset_path: "json", doc_to_target: "x", ...given });

/** A list of numbers names right choices, other lists right texts. */
const prompt = ({ target = 0, ...given }: Partial<Prompt>): Prompt => {
  const all = Array.isArray(target) ? target : [target];
  const right = all.filter((one) => typeof one === "number");
  const base = { index: 0, doc: { a: 1 }, context: "q", continuations: [], choices: [] };
  return { ...base, target, right, answers: all.map(String), ...given };
};

/** Says what it is told to. */
const scorer = (answers: Partial<Record<"likelihoods" | "textLikelihoods" | "continuations", unknown>>): Scorer =>
  ({
    ...{ name: "org/model", maxLength: 8, parameterCount: 5, cutRequests: 0, unscoredStarts: 0 },
    likelihoods: async () => answers.likelihoods,
    textLikelihoods: async () => answers.textLikelihoods,
    continuations: async () => answers.continuations,
  }) as Scorer;

const result = (given: object, prompts: Prompt[], own: Scorer) =>
  runTask({ path: "t.yaml", config: config(given) }, 0, prompts, own, () => {});

/** Lines of a samples file. */
const lines = (done: TaskResult): unknown[] => sampleObjects(done).map((sample) => JSON.parse(pythonJson(sample)));

const choices = ["a", "bbbb"];
const three = [0, 1, 1].map((target, index) => prompt({ index, target, choices, continuations: choices }));
const said = (values: readonly number[]) => values.map((logProb) => ({ logProb, isGreedy: logProb === -1 }));

test("choices: by likelihood, by length, by greed, and with errors", async () => {
  const own = scorer({ likelihoods: [said([-1, -2]), said([-1, -3]), said([-2, -1])] });
  const names = ["acc", "acc_norm", "exact_match", "f1", "mcc"].map((metric) => ({ metric }));
  const { metrics } = await result({ output_type: "multiple_choice", metric_list: names }, three, own);
  const values = Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  expect(values.acc).toBeCloseTo(2 / 3, 12); // 0, 0, 1
  expect(values.acc_norm).toBeCloseTo(2 / 3, 12); // 1, 1, 1
  expect(values.exact_match).toBeCloseTo(2 / 3, 12);
  expect(values.f1).toBeCloseTo(2 / 3, 12); // precision 1, recall 1/2
  expect(values.mcc).toBeCloseTo(0.5, 12);
  // Sample deviation of 1, 0, 1 is 1/√3, over √3.
  expect(metrics[0]?.error).toBeCloseTo(1 / 3, 12);
});

test("choices: by what the question adds to each", async () => {
  const asked: unknown[] = [];
  const own: Scorer = {
    ...scorer({}),
    likelihoods: async (requests) => {
      asked.push(requests.map(({ context, continuations }) => [context, ...continuations]));
      return requests.map(({ context }) => said(context === "" ? [-5, -1] : [-4, -3]));
    },
  };
  const metric_list = ["acc", "acc_mutual_info"].map((metric) => ({ metric }));
  const spaced = prompt({ target: 0, choices, continuations: [" a", " bbbb"] });
  const done = await result({ output_type: "multiple_choice", metric_list }, [spaced], own);
  expect(done.metrics.map(({ value }) => value)).toEqual([0, 1]); // −4 < −3, but −4 + 5 > −3 + 1
  expect(asked).toEqual([[["q", " a", " bbbb"]], [["", " a", " bbbb"]]]);
  expect(lines(done)[0]).toMatchObject({
    arguments: { gen_args_1: { arg_0: "q", arg_1: " bbbb" }, gen_args_2: { arg_0: "", arg_1: " a" } },
    resps: [[["-4.0", "False"]], [["-3.0", "False"]], [["-5.0", "False"]], [["-1.0", "True"]]],
  });
});

test("likelihoods: perplexity and whether it would have been said", async () => {
  const own = scorer({ likelihoods: [said([-1]), said([-3])] });
  const prompts = [prompt({ target: [" x"] }), prompt({ target: [" y"] })];
  const { metrics } = await result({ output_type: "loglikelihood" }, prompts, own);
  expect(metrics.map(({ name, value }) => [name, value])).toEqual([
    ["perplexity", Math.exp(2)],
    ["acc", 0.5],
  ]);
});

test("whole texts: by word, byte and character", async () => {
  const own = scorer({ textLikelihoods: [-6, -4] });
  const names = ["word_perplexity", "byte_perplexity", "bits_per_byte", "bits_per_character"].map((metric) => ({
    metric,
  }));
  const prompts = [prompt({ target: ["zwei Wörter"] }), prompt({ target: ["x y z"] })];
  const { metrics } = await result({ output_type: "loglikelihood_rolling", metric_list: names }, prompts, own);
  const values = metrics.map(({ value }) => value);
  expect(values[0]).toBeCloseTo(Math.exp(10 / 5), 10);
  expect(values[1]).toBeCloseTo(Math.exp(10 / 17), 10);
  expect(values[2]).toBeCloseTo(10 / 17 / Math.LN2, 10);
  expect(values[3]).toBeCloseTo(10 / 16 / Math.LN2, 10);
});

test("generated texts: filtered, then compared with every right answer", async () => {
  const own = scorer({ continuations: ["  The Blue, sky!", "the answer is 42."] });
  const prompts = [prompt({ target: ["red", "the blue sky"] }), prompt({ target: ["42"] })];
  const metric = { metric: "exact_match", ignore_case: true, ignore_punctuation: true };
  const trimmed = { filter_list: [{ name: "trim", filter: [{ function: "remove_whitespace" }] }] };
  const first = await result(
    { output_type: "generate_until", metric_list: [metric, { metric: "f1" }], ...trimmed },
    prompts,
    own,
  );
  expect(first.metrics[0]?.filter).toBe("trim");
  expect(first.filtered[0]?.texts[0]).toBe("The Blue, sky!");
  expect(first.metrics[0]?.perPrompt).toEqual([1, 0]);
  expect(first.metrics[1]?.perPrompt).toEqual([1, 0.5]); // "answer is 42" against "42"
  const digits = { filter_list: [{ name: "digits", filter: [{ function: "regex", regex_pattern: "(\\d+)" }] }] };
  const second = await result({ output_type: "generate_until", metric_list: [metric], ...digits }, prompts, own);
  expect(second.metrics[0]?.perPrompt).toEqual([0, 1]);
});

test.each([
  ["\\d+", "1 22", "1"],
  ["(\\d)\\d", "1 22", "2"],
  ["b|(a)", "b a", ""],
  ["(a)|(b)|c", "b a", "b"],
  ["(a)|(b)|c", "c a", "[invalid]"],
  ["d", "b a", "[invalid]"],
])("the pattern %s finds in %j what Python's findall would: %j", async (pattern, text, found) => {
  const filter_list = [{ name: "x", filter: [{ function: "regex", regex_pattern: pattern }] }];
  const own = scorer({ continuations: [text] });
  const done = await result({ output_type: "generate_until", filter_list }, [prompt({ target: [found] })], own);
  expect(done.metrics[0]?.perPrompt).toEqual([1]);
});

test("patterns to ignore are Python's", async () => {
  const own = scorer({ continuations: ["It is 6.\n#### $1,000", "#### 7"] });
  const prompts = [prompt({ target: ["so\n#### 1000"] }), prompt({ target: ["x\n#### 8"] })];
  const metric = { metric: "exact_match", regexes_to_ignore: [",", "\\$", "(?s).*#### ", "\\.$"] };
  const done = await result({ output_type: "generate_until", metric_list: [metric] }, prompts, own);
  expect(done.metrics[0]?.perPrompt).toEqual([1, 0]);
});

test("several right choices all count, for each metric of choices", async () => {
  const own = scorer({ likelihoods: [said([-3, -1]), said([-3, -2])] });
  const prompts = [[1, 0], [0]].map((target) => prompt({ target, choices, continuations: choices }));
  const metric_list = ["acc", "acc_norm", "exact_match"].map((metric) => ({ metric }));
  const done = await result({ output_type: "multiple_choice", metric_list }, prompts, own);
  expect(done.metrics.map(({ perPrompt }) => perPrompt)).toEqual([
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  expect(lines(done)[0]).toMatchObject({ target: "[1, 0]" });
  await expect(
    result({ output_type: "multiple_choice", metric_list: [{ metric: "f1" }] }, prompts, own),
  ).rejects.toThrow("row 1: doc_to_target lists several right answers, f1 and mcc need one");
});

test("every filter gives metrics of its own", async () => {
  const filter_list = [
    { name: "strict", filter: [{ function: "regex", regex_pattern: "#### (\\d+)" }, { function: "take_first" }] },
    {
      name: "last",
      filter: [{ function: "regex", regex_pattern: "(\\d+)", group_select: -1 }, { function: "take_first" }],
    },
  ];
  const own = scorer({ continuations: ["7 or 42", "#### 5"] });
  const prompts = [prompt({ target: "42" }), prompt({ target: "5", index: 1 })];
  const done = await result({ output_type: "generate_until", filter_list }, prompts, own);
  expect(done.metrics.map(({ filter, value }) => [filter, value])).toEqual([
    ["strict", 0.5],
    ["last", 1],
  ]);
  expect(lines(done)).toMatchObject([
    { doc_id: 0, filter: "strict", resps: [["7 or 42"]], filtered_resps: ["[invalid]"], exact_match: 0 },
    { doc_id: 1, filter: "strict", filtered_resps: ["5"], exact_match: 1 },
    { doc_id: 0, filter: "last", filtered_resps: ["42"], exact_match: 1 },
    { doc_id: 1, filter: "last" },
  ]);
});

test("questions asked several times: the commonest answer, the first few", async () => {
  const pipeline = (...steps: object[]): object[] => [{ name: "x", filter: [...steps, { function: "take_first" }] }];
  const run = async (...steps: object[]): Promise<unknown> => {
    const given = { output_type: "generate_until", repeats: 3, filter_list: pipeline(...steps) };
    const own = scorer({ continuations: ["b", "a", "a", "c", "d", "e"] });
    const done = await result(given, [prompt({ target: "a" }), prompt({ target: "c" })], own);
    return done.filtered[0]?.texts;
  };
  expect(await run()).toEqual(["b", "c"]);
  expect(await run({ function: "majority_vote" })).toEqual(["a", "c"]);
  expect(await run({ function: "take_first_k", k: 2 }, { function: "majority_vote" })).toEqual(["b", "c"]);
  await expect(run({ function: "take_first_k", k: 4 })).rejects.toThrow("wants 4 answers, there are 3; raise repeats");
  const map = { function: "map", mapping_dict: { a: "c", b: 1 }, default_value: "?" };
  expect(await run(map)).toEqual(["1", "?"]);
});

test("the choice that a text names, by letter, text or colon", async () => {
  const filter = {
    function: "multi_choice_regex",
    regex_pattern: "(\\([A-Z]\\))",
    ignore_case: true,
    ignore_punctuation: true,
  };
  const filter_list = [{ name: "x", filter: [filter, { function: "take_first" }] }];
  const said = ["It is (B).", "guilty of romance!", "Answer: A", "none"];
  const doc = { choices: ["Guilty", "Guilty of Romance"] };
  const done = await result(
    { output_type: "generate_until", filter_list },
    said.map((_, index) => prompt({ index, doc })),
    scorer({ continuations: said }),
  );
  expect(done.filtered[0]?.texts).toEqual(["(B)", "(B)", "(A)", "[invalid]"]);
});

const generate = { output_type: "generate_until" };
const filtering = (step: object): object => ({ ...generate, filter_list: [{ name: "x", filter: [step] }] });

test.each([
  [
    { ...generate, metric_list: [{ metric: "exact_match", regexes_to_ignore: ["(?P<x>"] }] },
    /metric exact_match: "\(\?P<x>" is not a regular expression/,
  ],
  [
    { output_type: "multiple_choice", metric_list: [{ metric: "bleu" }] },
    /metric bleu is not known for multiple_choice; known are acc, /,
  ],
  [{ ...generate, metric_list: [{ metric: "chrf" }] }, /metric chrf is not known for generate_until/],
  [{ ...generate, metric_list: [{ metric: "exact_match", hf_evaluate: true }] }, /has the option hf_evaluate/],
  [
    { output_type: "multiple_choice", metric_list: [{ metric: "acc", aggregation: "f1" }] },
    /metric acc cannot be aggregated by f1; use mean, median/,
  ],
  [filtering({ function: "format_span" }), /filter x: uses format_span, which is not supported/],
  [filtering({ function: "lowercase", hard: 1 }), /filter x: lowercase has the option hard, which is not supported/],
  [filtering({ function: "regex", regex_pattern: "(" }), /filter x: "\(" is not a regular expression/],
  [
    filtering({ function: "regex", regex_pattern: "(?>a)" }),
    /filter x: the group \(\?>a… in the regular .* not supported/,
  ],
  [
    { output_type: "multiple_choice", ...{ filter_list: [{ name: "x", filter: [{ function: "lowercase" }] }] } },
    /the filter lowercase is for generated texts, not for multiple_choice/,
  ],
  [{ output_type: "loglikelihood", repeats: 2 }, /repeats is for generated texts, not for loglikelihood/],
])("refuses %j", async (given, message) => {
  await expect(result(given, three, scorer({}))).rejects.toThrow(message);
});

test("a pattern that backtracks without end is stopped", async () => {
  const own = scorer({ continuations: [`${"a".repeat(60)}b`] });
  const done = result(filtering({ function: "regex", regex_pattern: "(a+)+$" }), [prompt({})], own);
  await expect(done).rejects.toThrow(
    /task t, filter x: the regular expression "\(a\+\)\+\$" does not end within 1 s on "aaa/,
  );
});

test("standard errors are those of the harness, sample for sample", async () => {
  const own = scorer({ likelihoods: [-1, -2, -4, -7.5].map((value) => said([value])) });
  const prompts = [0, 1, 2, 3].map((index) => prompt({ index, target: "x" }));
  const given = { output_type: "loglikelihood", metric_list: [{ metric: "perplexity" }] };
  const run = await runTask({ path: "t.yaml", config: config(given) }, 0, prompts, own, () => {}, 2000);
  // lm_eval.api.metrics.bootstrap_stderr(perplexity, [-1, -2, -4, -7.5], iters=2000)
  expect(run.metrics[0]?.error).toBeCloseTo(171.113_678_640_908_86, 10);
});

test("files are those of the harness", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stemma-results-"));
  const own = scorer({ likelihoods: [said([-1, -2]), said([-1, -3]), said([-2, -1])] });
  const done = await result({ output_type: "multiple_choice" }, three, own);
  const record = {
    modelArguments: "model=m",
    limit: 3,
    questions: new Map([["t", 40]]),
    bootstrapIterations: 1000,
    seed: 1,
    batchTokens: 64,
    device: "cpu",
    seconds: 1,
    date: new Date(0),
  };
  const path = await writeResults(folder, [done], own, record);
  expect(path).toBe(join(folder, "org__model", "results_1970-01-01T00-00-00.000000.json"));
  const written = JSON.parse(readFileSync(path, "utf8")) as Record<string, Record<string, Record<string, unknown>>>;
  expect(written.results?.t).toMatchObject({
    alias: "t",
    "acc,none": 2 / 3,
    "acc_stderr,none": expect.any(Number),
    sample_len: 3,
  });
  expect(written["n-samples"]).toEqual({ t: { original: 40, effective: 3 } });
  expect(written["n-shot"]).toEqual({ t: 0 });
  expect(written.higher_is_better?.t).toEqual({ acc: true, acc_norm: true });
  const [samples = ""] = readdirSync(join(folder, "org__model")).filter((name) => name.startsWith("samples_t_"));
  const line = readFileSync(join(folder, "org__model", samples), "utf8").split("\n")[1] ?? "";
  expect(JSON.parse(line)).toMatchObject({
    ...{ doc_id: 1, target: "1", acc: 0, acc_norm: 1, filter: "none", metrics: ["acc", "acc_norm"] },
    arguments: { gen_args_0: { arg_0: "q", arg_1: "a" }, gen_args_1: { arg_0: "q", arg_1: "bbbb" } },
    resps: [[["-1.0", "True"]], [["-3.0", "False"]]],
  });
  rmSync(folder, { recursive: true });
});
