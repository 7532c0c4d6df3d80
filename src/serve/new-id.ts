import { randomUUID } from "node:crypto";

/** A name for an answer or a request that nobody else has: `cmpl-…`, with 24 hexadecimal digits. */
export function newId(prefix: string): string {
  return `${prefix}-${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
