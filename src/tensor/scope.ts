import type { Backend, Dtype, Storage } from "../backend/kernels.ts";
import type { Tensor } from "./tensor.ts";

/** Storages made since a scope opened, with the backend each belongs to. */
type Scope = Map<Storage, Backend>;

let current: Scope | null = null;

/** Storages that no scope will release are given back when JavaScript collects them. */
const abandoned = new FinalizationRegistry<() => void>((release) => release());

/**
 * Runs `body` and then gives back the memory of every tensor made in it, except those in its result and those kept.
 * The result may be a tensor, or arrays and plain objects of tensors. Scopes nest: what an inner scope returns belongs
 * to the outer one. `body` must be synchronous, so that scopes of concurrent tasks never mix; read values afterwards.
 */
export function tensorScope<Result>(body: () => Result): Result {
  const outer = current;
  const scope: Scope = new Map();
  current = scope;
  try {
    const result = body();
    if (result instanceof Promise) throw new Error("tensorScope: the body is async; read values after the scope ends");
    for (const storage of storagesOf(result)) moveOut(scope, storage, outer);
    return result;
  } finally {
    current = outer;
    for (const [storage, backend] of scope) backend.release(storage);
  }
}

/** Memory that the current scope, if any, will give back. */
export function allocate(backend: Backend, dtype: Dtype, length: number): Storage {
  const storage = backend.allocate(dtype, length);
  if (current) current.set(storage, backend);
  else watch(storage, backend);
  return storage;
}

/** Gives memory back now. */
export function release(backend: Backend, storage: Storage): void {
  current?.delete(storage);
  abandoned.unregister(storage);
  backend.release(storage);
}

/** Takes a storage out of the current scope: it lives until it is released or collected. */
export function keep(backend: Backend, storage: Storage): void {
  if (current?.delete(storage)) watch(storage, backend);
}

function moveOut(scope: Scope, storage: Storage, outer: Scope | null): void {
  const backend = scope.get(storage);
  if (!backend) return;
  scope.delete(storage);
  if (outer) outer.set(storage, backend);
  else watch(storage, backend);
}

function watch(storage: Storage, backend: Backend): void {
  abandoned.register(storage, backend.finalizer(storage), storage);
}

function* storagesOf(value: unknown): Iterable<Storage> {
  if (isTensor(value)) yield value.storage;
  else if (Array.isArray(value)) for (const item of value) yield* storagesOf(item);
  else if (value instanceof Map) for (const item of value.values()) yield* storagesOf(item);
  else if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) yield* storagesOf(item);
  }
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "storage" in value && "backend" in value;
}
