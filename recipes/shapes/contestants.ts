/** How a model is asked, once it is trained. */
export type Kind = "decoder" | "encoder" | "encoder-decoder";

/** One of the shapes that are compared. */
export interface Contestant {
  readonly title: string;
  /** Who described it first, and when. */
  readonly from: string;
  readonly kind: Kind;
  /** Settings of `pretrain` that are its own: sizes that give about three million weights at work, and a rate usual for them. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** The measure of its own loss among the metrics of an evaluation, and what that is. */
  readonly ownMetric: string;
  readonly ownLoss: string;
  /** Which of so many tokens each sees: a picture for each attention there is. */
  readonly masks: readonly Mask[];
  /** What it can do, in a few words each. */
  readonly scores: string;
  readonly continues: string;
  readonly fillsIn: string;
}

/** Who sees whom. */
export interface Mask {
  readonly title: string;
  readonly sees: (query: number, key: number) => boolean;
}

const causal: Mask = { title: "each sees itself and what came before", sees: (query, key) => key <= query };

const nextToken = { ownMetric: "eval_bits_per_character", ownLoss: "bits a character, each token from those before" };

const asDecoder = {
  ...nextToken,
  kind: "decoder",
  masks: [causal],
  scores: "yes: every token in turn",
  continues: "yes",
  fillsIn: "by trying words and scoring the whole",
} as const;

/** All of them, in the order of their publication. */
export const contestants = {
  lstm: {
    ...asDecoder,
    title: "LSTM",
    from: "Hochreiter & Schmidhuber 1997",
    settings: { model: "lstm", layers: 2, width: 384, learningRate: 4e-3 },
    masks: [{ ...causal, title: "what came before, through one state" }],
  },
  gpt1: {
    ...asDecoder,
    title: "GPT-1",
    from: "Radford et al. 2018",
    settings: { model: "gpt1", layers: 6, width: 192, learningRate: 7e-4 },
  },
  bert: {
    kind: "encoder",
    title: "BERT",
    from: "Devlin et al. 2018",
    settings: { model: "bert", layers: 6, width: 192, learningRate: 7e-4 },
    ownMetric: "eval_masked_word_loss",
    ownLoss: "nats a masked token, each from all others",
    masks: [{ title: "each sees all", sees: () => true }],
    scores: "no: only words in their gaps",
    continues: "no",
    fillsIn: "yes, from both sides",
  },
  gpt2: {
    ...asDecoder,
    title: "GPT-2",
    from: "Radford et al. 2019",
    settings: { model: "gpt2", layers: 6, width: 192, learningRate: 2e-3 },
  },
  prefix: {
    ...asDecoder,
    title: "Prefix LM",
    from: "Liu et al. 2018, Raffel et al. 2019",
    settings: { model: "prefix", layers: 6, width: 192, learningRate: 2e-3 },
    masks: [
      { title: "a prefix of 5 sees itself, the rest what came before", sees: (query, key) => key <= query || key < 5 },
    ],
    scores: "yes, best after a prefix",
    continues: "yes, having read the prefix at once",
  },
  t5: {
    kind: "encoder-decoder",
    title: "T5",
    from: "Raffel et al. 2019",
    settings: { model: "t5", layers: 3, width: 176, heads: 4, learningRate: 2e-2 },
    ownMetric: "eval_loss",
    ownLoss: "nats a token of what was taken out",
    masks: [
      { title: "encoder: each sees all", sees: () => true },
      { title: "decoder: what came before", sees: causal.sees },
      { title: "decoder to encoder: all", sees: () => true },
    ],
    scores: "only a text given another",
    continues: "only as an answer",
    fillsIn: "yes, gaps of any length, from both sides",
  },
  llama: {
    ...asDecoder,
    title: "Llama",
    from: "Touvron et al. 2023",
    settings: { model: "llama", layers: 6, width: 200, heads: 4, learningRate: 2e-3 },
  },
  moe: {
    ...asDecoder,
    title: "Mixture of experts",
    from: "Jiang et al. 2024",
    settings: { model: "mixtral", layers: 6, width: 200, heads: 4, learningRate: 2e-3 },
  },
} as const satisfies Record<string, Contestant>;

/** Name of a contestant, as flags have it. */
export type ContestantName = keyof typeof contestants;
