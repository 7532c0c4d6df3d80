import { StemmaError } from "../core/errors.ts";

/** The command line or its settings file asks for something that does not exist or is not allowed: exit code 2. */
export class UsageError extends StemmaError {
  override readonly name = "UsageError";
}
