import type { Backend } from "../backend/kernels.ts";
import type { Dtype, Storage } from "../backend/storage.ts";
import type { Tensor } from "./tensor.ts";

/** Storages made since a scope opened, with the backend each belongs to, and the scope around it. */
class Scope extends Map<Storage, Backend> {
  readonly outer: Scope | null;

  constructor(outer: Scope | null) {
    super();
    this.outer = outer;
  }
}

let current: Scope | null = null;

/** Storages that `keep` was called on. */
const kept = new WeakSet<Storage>();

/** Storages that no scope will release are given back when JavaScript collects them. */
const abandoned = new FinalizationRegistry<() => void>((release) => release());

/**
 * Runs `body` and then gives back the memory of every tensor made in it, except those in its result and those kept.
 * The result may be a tensor, or arrays and plain objects of tensors. Scopes nest: what an inner scope returns belongs
 * to the outer one. `body` must be synchronous, so that scopes of concurrent tasks never mix; read values afterwards.
 */
export function tensorScope<Result>(body: () => Result): Result {
  const outer = current;
  const scope = new Scope(outer);
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
  leaveScope(storage);
  abandoned.unregister(storage);
  backend.release(storage);
}

/** Takes a storage out of the scope it was made in: it lives until it is released or collected. */
export function keep(backend: Backend, storage: Storage): void {
  kept.add(storage);
  if (leaveScope(storage)) watch(storage, backend);
}

/** Undoes `keep`: the current scope, if any, will give the memory back, or `backward` once it has passed. */
export function unkeep(backend: Backend, storage: Storage): void {
  kept.delete(storage);
  if (!current) return;
  abandoned.unregister(storage);
  current.set(storage, backend);
}

/** Whether `keep` was called on a storage, through any of the tensors that share it. */
export function isKept(storage: Storage): boolean {
  return kept.has(storage);
}

/** Removes a storage from whichever open scope holds it. */
function leaveScope(storage: Storage): boolean {
  for (let scope = current; scope; scope = scope.outer) if (scope.delete(storage)) return true;
  return false;
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
