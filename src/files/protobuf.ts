import { CheckpointError } from "../core/errors.ts";

/** One field of a protobuf message: a number (varint or float), or the bytes of a string or an inner message. */
export interface ProtobufField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Bytes of the longest varint: 64 bits in groups of seven. */
const longestVarint = 10;

/**
 * The fields of a protobuf message in the order of the file. Varints are read as signed 64-bit numbers, of which those
 * beyond 2⁵³ are rounded; fixed 32-bit values as floats, 64-bit ones as doubles.
 *
 * @param where - What messages call the file.
 * @see https://protobuf.dev/programming-guides/encoding/
 * @throws {CheckpointError} when a field has no valid type, or reaches beyond the end.
 */
export function* protobufFields(bytes: Uint8Array, where: string): Generator<ProtobufField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (size: number): number => {
    const start = at;
    if (size > bytes.length - at) {
      throw damaged(where, `byte ${start} begins something of ${size} bytes, ${bytes.length - start} are left`);
    }
    at += size;
    return start;
  };
  const varint = (): bigint => {
    let value = 0n;
    for (let i = 0; i < longestVarint; i++) {
      const byte = bytes[take(1)] ?? 0;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value;
    }
    throw damaged(where, `byte ${at - longestVarint} begins a number without end`);
  };
  while (at < bytes.length) {
    const start = at;
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    if (number < 1 || number >= 2 ** 29) throw damaged(where, `byte ${start} names the field ${number}`);
    const type = tag % 8;
    if (type === 0) yield { number, value: Number(BigInt.asIntN(64, varint())) };
    else if (type === 1) yield { number, value: view.getFloat64(take(8), true) };
    else if (type === 5) yield { number, value: view.getFloat32(take(4), true) };
    else if (type === 2) {
      const size = Number(varint());
      const first = take(size);
      yield { number, value: bytes.subarray(first, first + size) };
    } else throw damaged(where, `byte ${start} begins a field of type ${type}`);
  }
}

function damaged(where: string, what: string): CheckpointError {
  return new CheckpointError(`${where}: ${what}; the file is cut off or of another format, fetch it again`);
}
