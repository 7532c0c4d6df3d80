import { CheckpointError, SettingsError } from "../core/errors.ts";
import type { AddedToken } from "./added-token.ts";
import { AddedTokenMatcher, specialToken } from "./added-token.ts";
import type { DecodeOptions, TokenRoles } from "./tokenizer.ts";

/** Beyond any vocabulary there is, and small enough that a corrupt file cannot ask for much memory. */
const highestId = 2 ** 22;

/** Names that end a text in the models people publish, for files that do not say which token does. */
const endOfTextNames = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"];

/** The tokens of a tokenizer: those of its model and those matched as a whole. */
export class Vocabulary {
  /** One more than the highest id. */
  readonly size: number;
  /** Tokens that cutting text can give, and their ids. */
  readonly modelTokens: ReadonlyMap<string, number>;
  readonly addedTokens: readonly AddedToken[];
  /** Special tokens by their text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly roles: TokenRoles;
  /** Ids of added tokens, which come before those of the model. */
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #tokens: (string | undefined)[];
  readonly #specialIds: ReadonlySet<number>;

  /**
   * @throws {CheckpointError} when ids are no small non-negative integers or two tokens share one, naming `where`.
   */
  constructor(
    where: string,
    modelTokens: ReadonlyMap<string, number>,
    addedTokens: readonly AddedToken[],
    roles: TokenRoles = {},
  ) {
    this.modelTokens = modelTokens;
    this.addedTokens = addedTokens;
    this.#addedIds = new Map(addedTokens.map(({ content, id }) => [content, id]));
    if (this.#addedIds.has("")) {
      throw new CheckpointError(`${where}: an added token (id ${this.#addedIds.get("")}) is empty; remove it`);
    }
    this.#tokens = tokensById(where, modelTokens, this.#addedIds);
    this.roles = this.#known(roles);
    this.size = this.#tokens.length;
    const special = addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ content, id }) => [content, id]));
    this.#specialIds = new Set(this.specialTokens.values());
  }

  /** As {@link Tokenizer.endOfText}. */
  get endOfText(): number | null {
    const names = this.roles.eos === undefined ? endOfTextNames : [this.roles.eos];
    const name = names.find((candidate) => this.idOf(candidate) !== null);
    return name === undefined ? null : this.idOf(name);
  }

  /** Id of a token, or null. */
  idOf(token: string): number | null {
    return this.#addedIds.get(token) ?? this.modelTokens.get(token) ?? null;
  }

  /** Spelling of a token, or null. */
  tokenOf(id: number): string | null {
    return this.#tokens[id] ?? null;
  }

  /** Whether an id is a special token's. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** Spelling of a token as decoding shows it: null for a special token that is to be left out, and where there is none. */
  shown(id: number, { skipSpecialTokens = false }: DecodeOptions): string | null {
    return skipSpecialTokens && this.isSpecial(id) ? null : this.tokenOf(id);
  }

  /** Roles of tokens that there are: published folders name some that there are not. */
  #known(roles: TokenRoles): TokenRoles {
    return Object.fromEntries(Object.entries(roles).filter(([, content]) => this.idOf(content) !== null));
  }

  /** The added tokens with `contents` as special ones among them, and the roles joined. */
  extended(contents: readonly string[], roles: TokenRoles): { addedTokens: AddedToken[]; roles: TokenRoles } {
    const added = new Map(this.addedTokens.map((token) => [token.content, token]));
    let next = this.size;
    for (const content of contents) {
      if (content === "") throw new SettingsError("special tokens: a token is empty; give it a text such as <|user|>");
      const known = added.get(content);
      const id = known?.id ?? this.idOf(content) ?? next++;
      added.set(content, known ? { ...known, special: true } : specialToken(content, id));
    }
    for (const [role, content] of Object.entries(roles)) {
      if (!added.has(content) && this.idOf(content) === null) {
        throw new SettingsError(
          `special tokens: the ${role} token ${JSON.stringify(content)} is not in the vocabulary; add it as well`,
        );
      }
    }
    return { addedTokens: [...added.values()], roles: { ...this.roles, ...roles } };
  }
}

/** Cuts text at added tokens and normalizes what lies between them. */
export class Segmenter {
  readonly #stages: readonly { raw: AddedTokenMatcher; normalized: AddedTokenMatcher }[];
  readonly #normalize: ((text: string) => string) | null;

  constructor(addedTokens: readonly AddedToken[], normalize: ((text: string) => string) | null) {
    this.#normalize = normalize;
    const ordinary = addedTokens.filter((token) => !token.special);
    this.#stages = [ordinary, addedTokens].map((tokens) => ({
      raw: new AddedTokenMatcher(tokens.filter((token) => normalize === null || !token.normalized)),
      normalized: new AddedTokenMatcher(
        tokens.filter((token) => normalize !== null && token.normalized),
        (token) => normalize?.(token.content) ?? token.content,
      ),
    }));
  }

  /** Normalized text between added tokens (none empty) and the ids of those tokens, in order. */
  segments(text: string, recognizeSpecialTokens = true): (string | number)[] {
    const { raw, normalized } = this.#stages[recognizeSpecialTokens ? 1 : 0]!;
    const parts = raw.split(text);
    const normalize = this.#normalize;
    if (normalize === null) return parts;
    return parts.flatMap((part) => (typeof part === "number" ? [part] : normalized.split(normalize(part))));
  }
}

/** Tokens by id; one that was added has the id that it was added with. */
function tokensById(
  where: string,
  modelIds: ReadonlyMap<string, number>,
  addedIds: ReadonlyMap<string, number>,
): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  const place = (token: string, id: number): void => {
    if (!Number.isInteger(id) || id < 0 || id >= highestId) {
      throw new CheckpointError(
        `${where}: token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}; ids are integers from 0 to ${highestId - 1}`,
      );
    }
    if (tokens[id] !== undefined) {
      throw new CheckpointError(
        `${where}: tokens ${JSON.stringify(tokens[id])} and ${JSON.stringify(token)} have the same id ${id}; the file is damaged, fetch or write it again`,
      );
    }
    tokens[id] = token;
  };
  for (const [token, id] of modelIds) if (!addedIds.has(token)) place(token, id);
  for (const [token, id] of addedIds) place(token, id);
  return tokens;
}
