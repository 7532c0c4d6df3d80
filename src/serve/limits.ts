/** What a request may ask for at most, whoever asks. */
export const requestLimits = {
  /** Bytes of a body. */
  bodyBytes: 4 * 2 ** 20,
  /** Lists and objects inside each other. */
  jsonDepth: 32,
  /** Entries of a list or an object: as many as the longest prompt has ids. */
  jsonEntries: 2 ** 17,
  /** Answers to one prompt. */
  answers: 16,
  prompts: 64,
  stops: 16,
  stopCharacters: 1024,
  /** Characters of a prompt for each token that the model reads. */
  charactersOfToken: 128,
  /** Alternatives of a token. */
  alternatives: 20,
  biases: 1024,
  messages: 4096,
  /** Texts to embed or to score. */
  texts: 256,
  /** Characters of a text that is looked at: how it is cut, what the model makes of it. */
  lookedAt: 8192,
  /** Tokens of a text whose states are looked at behind each layer. */
  lensTokens: 256,
  /** Weights of attention in an answer. */
  attentionWeights: 2 ** 20,
} as const;

/** What one key may have under way, where there are keys. */
export const keyLimits = { running: 8, waiting: 16 } as const;

/** Patience, in milliseconds. */
export const patience = {
  /** A request that waits for a slot. */
  queueMs: 60_000,
  /** A stream without a sign of life. */
  pingMs: 15_000,
  /** A reader that takes nothing of what is there. */
  readerMs: 60_000,
  /** An engine that has work and makes no step. */
  engineMs: 30_000,
  /** A chat template that writes one conversation. */
  templateMs: 1_000,
  headersMs: 10_000,
  requestMs: 60_000,
  keepAliveMs: 5_000,
} as const;

/** Bytes of a stream that wait for a slow reader, at most. */
export const mostUnread = 2 ** 20;

/** Connections at one time, at most. */
export const mostConnections = 1024;

/** Conversations that wait for the template of one model, at most. */
export const mostTemplates = 128;
