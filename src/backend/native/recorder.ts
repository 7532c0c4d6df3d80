import type { CapturedPass, Renewal } from "../passes.ts";
import type { Dtype } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import type { NativeStorage } from "./storage.ts";

/** Functions that compute nothing on tensors: a pass that calls them is none the different for it. */
const notRecorded: ReadonlySet<string> = new Set([
  "allocate",
  "release",
  "memory",
  "resetPeak",
  "trim",
  "floatPeak",
  "bfloat16Peak",
  "readBandwidth",
  "repeat",
]);

/** Integers that a pass was given and another pass is given anew. */
interface Given {
  readonly storage: NativeStorage;
  readonly offset: number;
  readonly length: number;
  readonly renew: Renewal;
}

/** What has been seen of a pass so far. */
class Recording {
  /** For each call the number of the method, how many arguments it has, and these. */
  readonly calls: number[] = [];
  readonly given: Given[] = [];
  /** Memory made in the pass that was not given back yet. */
  readonly live = new Set<NativeStorage>();
  /** Handles that were given back: the pass made once more will write to them again. */
  readonly idle = new Set<number>();
  /** Those of them that may be handed out again meanwhile, by how long they are. */
  readonly free = new Map<number, number[]>();
}

/**
 * Stands between the kernels and the addon, and remembers a pass: which calls it makes with which numbers. While it does,
 * memory that the pass gives back is kept for the pass alone, so that the calls can be made again on the same handles.
 */
export class Recorder {
  /** The addon's functions, as kernels are to call them. */
  readonly native: NativeFunctions;
  readonly #plain: NativeFunctions;
  /** Of the pass that is captured now. */
  #recording: Recording | null = null;
  /** What was given back to a pass: its handle is the pass's, and may by now belong to other storages of it. */
  readonly #taken = new WeakSet<NativeStorage>();
  /** Gives back what passes hold that nobody released, when JavaScript collects them. */
  readonly #abandoned = new FinalizationRegistry<ReadonlySet<number>>((handles) => this.#giveBack(handles));

  constructor(plain: NativeFunctions) {
    this.#plain = plain;
    const watched = plain.methods
      .map((name, number) => [name, number] as const)
      .filter(([name]) => !notRecorded.has(name))
      .map(([name, number]) => [name, this.#watched(plain[name as keyof NativeFunctions] as NativeCall, number)]);
    this.native = { ...plain, ...Object.fromEntries(watched) };
  }

  /** {@link PassCapture.capture}. */
  capture(body: () => void): CapturedPass | null {
    if (this.#recording) {
      this.#spoil(); // one pass within another: neither can be told from the other
      body();
      return null;
    }
    const recording = new Recording();
    this.#recording = recording;
    let isWhole = false;
    try {
      body();
      isWhole = this.#recording === recording;
    } finally {
      if (!isWhole) this.#spoil();
      this.#recording = null;
    }
    return isWhole ? this.#captured(recording) : null;
  }

  /** {@link PassCapture.write}. */
  write(storage: NativeStorage, offset: number, values: Int32Array, renew: Renewal): void {
    this.#plain.write(storage.handle, offset, values);
    this.#recording?.given.push({ storage, offset, length: values.length, renew });
  }

  /** A handle of so much memory that the pass has given back, or null. */
  reuse(dtype: Dtype, length: number): number | null {
    if (dtype !== "float32") return null; // what a pass is given is written before all else
    const handle = this.#recording?.free.get(length)?.pop() ?? null;
    if (handle !== null) this.#recording?.idle.delete(handle);
    return handle;
  }

  /** Is told of all memory that is made. */
  made(storage: NativeStorage): void {
    this.#recording?.live.add(storage);
  }

  /** Whether memory that is given back stays with a pass: that which is captured now, or one that took it before. */
  keeps(storage: NativeStorage): boolean {
    const recording = this.#recording;
    if (!recording?.live.delete(storage)) return this.#taken.has(storage);
    this.#taken.add(storage);
    const { dtype, length, handle } = storage;
    recording.idle.add(handle);
    if (dtype === "float32") recording.free.set(length, [...(recording.free.get(length) ?? []), handle]);
    return true;
  }

  #captured({ calls, given, idle }: Recording): CapturedPass {
    const table = Float64Array.from(calls);
    const pass: CapturedPass = {
      replay: () => {
        const values = given.map(({ renew, length }) => {
          const anew = renew();
          return anew?.length === length ? anew : null;
        });
        if (values.includes(null)) return false;
        given.forEach(({ storage, offset }, i) => {
          this.#plain.write(storage.handle, offset, values[i] as Int32Array);
        });
        this.#plain.repeat(table);
        return true;
      },
      release: () => this.#giveBack(idle),
    };
    this.#abandoned.register(pass, idle);
    return pass;
  }

  #giveBack(handles: Iterable<number>): void {
    for (const handle of handles) this.#plain.release(handle);
  }

  /** Ends a capture that cannot succeed; the pass itself goes on as ever. */
  #spoil(): void {
    const recording = this.#recording;
    this.#recording = null;
    this.#giveBack(recording?.idle ?? []);
  }

  #watched(call: NativeCall, number: number): NativeCall {
    return (...values) => {
      if (this.#recording) {
        if (values.every((value) => typeof value === "number"))
          this.#recording.calls.push(number, values.length, ...values);
        else this.#spoil();
      }
      return call(...values);
    };
  }
}

type NativeCall = (...values: unknown[]) => unknown;
