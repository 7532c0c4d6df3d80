/** What a {@link BeamSearch} is told. */
export interface BeamSettings {
  readonly beams: number;
  /** A text's log-probability is divided by its length to this power. */
  readonly lengthPenalty: number;
  readonly endOfText: number | null;
  /** What beams that are not used are fed. */
  readonly padding: number;
}

interface Beam {
  readonly tokens: readonly number[];
  readonly logProbability: number;
}

interface Ended {
  readonly tokens: Int32Array;
  readonly score: number;
  readonly ended: boolean;
}

/** Which beam each beam goes on from, and with which token. */
export interface BeamMove {
  readonly sources: readonly number[];
  readonly tokens: readonly number[];
}

/** Beam search for one text, told step by step what may follow each of its beginnings. */
export class BeamSearch {
  readonly #settings: BeamSettings;
  #beams: readonly Beam[] = [{ tokens: [], logProbability: 0 }];
  #ended: readonly Ended[] = [];

  constructor(settings: BeamSettings) {
    this.#settings = settings;
  }

  /** Whether nothing better can be found: as many texts have ended as there are beams, each ahead of every beginning. */
  get isDone(): boolean {
    if (this.#beams.length === 0) return true;
    if (this.#ended.length < this.#settings.beams) return false;
    const worst = Math.min(...this.#ended.map(({ score }) => score));
    return this.#beams.every((beam) => this.#score(beam, 0) <= worst);
  }

  /**
   * Takes logits of what follows each beam; a beginning that ends leaves its place to the next best.
   *
   * @param isLast - Whether every text ends here, by itself or not.
   */
  advance(logits: readonly Float32Array[], isLast = false): BeamMove {
    const { beams, endOfText, padding } = this.#settings;
    const isDone = this.isDone;
    const candidates = isDone ? [] : this.#beams.flatMap((beam, i) => likeliest(logits[i], 2 * beams, beam, i));
    candidates.sort((a, b) => b.logProbability - a.logProbability || a.source - b.source || a.token - b.token);
    const going: typeof candidates = [];
    for (const [rank, candidate] of candidates.slice(0, 2 * beams).entries()) {
      if (rank < beams && (isLast || candidate.token === endOfText)) this.#end(candidate);
      if (candidate.token !== endOfText) going.push(candidate);
      if (going.length === beams) break;
    }
    if (!isDone) {
      this.#beams = going.map(({ source, token, logProbability }) => {
        return { tokens: [...(this.#beams[source]?.tokens ?? []), token], logProbability };
      });
    }
    const place = (i: number): { source: number; token: number } => going[i] ?? { source: 0, token: padding };
    const places = Array.from({ length: beams }, (_, i) => place(i));
    return { sources: places.map(({ source }) => source), tokens: places.map(({ token }) => token) };
  }

  /** The best of the texts that have ended; the last step ends all. */
  best(): Ended {
    const none: Ended = { tokens: new Int32Array(0), score: Number.NEGATIVE_INFINITY, ended: false };
    return this.#ended[0] ?? none;
  }

  #end({ source, token, logProbability }: Candidate): void {
    const { tokens = [] } = this.#beams[source] ?? {};
    const score = this.#score({ tokens, logProbability }, 1);
    const ended = token === this.#settings.endOfText;
    const all = [...this.#ended, { tokens: Int32Array.from(ended ? tokens : [...tokens, token]), score, ended }];
    this.#ended = all.sort((a, b) => b.score - a.score).slice(0, this.#settings.beams);
  }

  /** Score of a beginning with `more` tokens after it. */
  #score({ tokens, logProbability }: Beam, more: number): number {
    return logProbability / Math.max(tokens.length + more, 1) ** this.#settings.lengthPenalty;
  }
}

interface Candidate {
  readonly source: number;
  readonly token: number;
  /** Of the whole text. */
  readonly logProbability: number;
}

/** The `count` likeliest tokens after a beam. */
function likeliest(logits: Float32Array | undefined, count: number, beam: Beam, source: number): Candidate[] {
  if (!logits) throw new Error("internal: a beam has no logits");
  const peak = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - peak), 0)) + peak;
  const best: number[] = []; // ids, likeliest first
  for (const [id, logit] of logits.entries()) {
    if (logit === Number.NEGATIVE_INFINITY) continue; // can never follow
    if (best.length === count && logit <= (logits[best.at(-1) ?? 0] ?? 0)) continue;
    const at = best.findIndex((other) => logit > (logits[other] ?? 0));
    best.splice(at < 0 ? best.length : at, 0, id);
    if (best.length > count) best.pop();
  }
  return best.map((token) => ({ source, token, logProbability: beam.logProbability + (logits[token] ?? 0) - total }));
}
