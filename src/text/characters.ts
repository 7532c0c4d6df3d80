import { DataError, UnsupportedError } from "../core/errors.ts";
import type { Steps } from "../core/event-loop.ts";
import { inOneGo } from "../core/event-loop.ts";
import { specialToken } from "./added-token.ts";
import type { IntList } from "./int-list.ts";
import { lastWordBoundary } from "./pre-tokenizer.ts";
import type { SequenceTemplate } from "./sequence-template.ts";
import { readTemplate } from "./sequence-template-json.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import { unsupportedPart } from "./tokenizer-parts.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { noText, SpecialTokenSplitter } from "./tokenizer-trainer.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";

/** Everything a character-level tokenizer consists of. */
export interface CharacterParts extends VocabularyParts {
  /** Characters (Unicode code points) and their ids. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** With an `unk` token, characters that are not in the vocabulary become it; without one they are refused. */
  readonly roles?: TokenRoles;
  /** Special tokens around a text; none when left out. */
  readonly template?: SequenceTemplate | null;
}

/** What stands for half of a surrogate pair, which is no character. */
const replacement = 0xfffd;

/** One token for each character. In `tokenizer.json` it is a byte-pair encoding without merges. */
export class Characters extends VocabularyTokenizer {
  override readonly kind = "characters";
  readonly #parts: CharacterParts;
  readonly #ids: ReadonlyMap<number, number>;
  /** Id for characters that are not in the vocabulary, or null. */

  /**
   * @throws {CheckpointError} naming `where`, when ids collide.
   */
  constructor(parts: CharacterParts, where = "tokenizer") {
    super(where, parts.vocabulary, parts, null);
    this.#parts = parts;
    this.#ids = new Map([...parts.vocabulary].map(([character, id]) => [character.codePointAt(0)!, id]));
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    return { push: (id) => this.vocabulary.shown(id, options) ?? "", flush: () => "" };
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): Characters {
    return new Characters({ ...this.#parts, ...this.vocabulary.extended(tokens, roles) });
  }

  protected override ownJson(): OwnJson {
    const { unk } = this.roles;
    return {
      normalizer: null,
      pre_tokenizer: null,
      decoder: { type: "Fuse" },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: unk ?? null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        // Other readers want the unknown token among those of the model.
        vocab: Object.fromEntries([...this.#parts.vocabulary, ...(unk === undefined ? [] : [[unk, this.idOf(unk)]])]),
        merges: [],
      } as TokenizerJson["model"],
    };
  }

  protected override encodeSegment(text: string, out: IntList): void {
    for (const character of text) {
      const codePoint = character.codePointAt(0)!;
      const isHalf = codePoint >= 0xd800 && codePoint < 0xe000;
      const id = this.#ids.get(isHalf ? replacement : codePoint) ?? this.unknown;
      if (id === null) throw this.#unknownCharacter(isHalf ? "\ufffd" : character);
      out.push(id);
    }
  }

  protected override wordBoundary(text: string): number {
    if (this.addedTokens.length > 0) return lastWordBoundary(text);
    const endsInHalf = /[\ud800-\udbff]$/.test(text);
    return text.length - (endsInHalf ? 1 : 0);
  }

  #unknownCharacter(character: string): DataError {
    const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    return new DataError(
      `encode: the character ${JSON.stringify(character)} (U+${code}) is not among the ${this.#ids.size} of this ` +
        "tokenizer; train it on text that has the character, or give it an unk token",
    );
  }
}

/** Whether a `tokenizer.json` is of characters: byte-pair encoding without merges. */
export function isCharacters({ model, decoder }: TokenizerParts): boolean {
  return model.type === "BPE" && model.merges.length === 0 && decoder?.type === "Fuse";
}

/**
 * Makes a character-level tokenizer from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it changes or cuts text first, or a token is longer than a character.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function charactersFromJson(parts: TokenizerParts): Characters {
  const { where, model, addedTokens } = parts;
  if (parts.normalizer) throw unsupportedPart(where, "normalizer", parts.normalizer);
  if (parts.preTokenizer) throw unsupportedPart(where, "pre-tokenizer", parts.preTokenizer);
  const added = new Set(addedTokens.map(({ content }) => content));
  const vocabulary = new Map([...model.vocabulary].filter(([token]) => !added.has(token)));
  const long = [...vocabulary.keys()].find((token) => [...token].length !== 1);
  if (long !== undefined) {
    throw new UnsupportedError(
      `${where}: the token ${JSON.stringify(long)} is not one character, and there are no merges that make it`,
    );
  }
  const { unk_token: unk } = model.fields;
  const roles = typeof unk === "string" ? { unk, ...parts.roles } : parts.roles;
  return new Characters({ vocabulary, addedTokens, roles, template: readTemplate(where, parts.postProcessor) }, where);
}

/**
 * Learns which characters a text has. Ids: characters in the order of their code points, as in nanoGPT, then special
 * tokens; none unless asked for.
 */
export class CharacterTrainer implements TokenizerTrainer {
  readonly #splitter: SpecialTokenSplitter;
  readonly #seen = new Set<number>();

  /**
   * @throws {SettingsError} when a special token is empty or given twice.
   */
  constructor({ specialTokens = [] }: { readonly specialTokens?: readonly string[] } = {}) {
    this.#splitter = new SpecialTokenSplitter(specialTokens);
  }

  add(text: string): void {
    for (const part of this.#splitter.parts(text)) {
      for (const character of part) {
        const codePoint = character.codePointAt(0)!;
        this.#seen.add(codePoint >= 0xd800 && codePoint < 0xe000 ? replacement : codePoint);
      }
    }
  }

  train(): Characters {
    return inOneGo(this.training());
  }

  *training(): Steps<Characters> {
    if (this.#seen.size === 0) throw noText();
    const characters = [...this.#seen].sort((a, b) => a - b).map((codePoint) => String.fromCodePoint(codePoint));
    return new Characters({
      vocabulary: new Map(characters.map((character, id) => [character, id])),
      addedTokens: this.#splitter.tokens.map((content, i) => specialToken(content, characters.length + i)),
      roles: this.#splitter.roles(),
    });
  }
}
