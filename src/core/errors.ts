/**
 * Every error Stemma throws on purpose. The message reads `where: what is wrong, with the value; what to do`, and is
 * all that a user sees: a stack trace means a defect. It is one line, whatever names and values of files stand in it.
 */
export class StemmaError extends Error {
  override readonly name: string = "StemmaError";

  constructor(message: string, options?: ErrorOptions) {
    super(
      message.replaceAll(/[\r\n]/g, (end) => JSON.stringify(end).slice(1, -1)),
      options,
    );
  }
}

/** Tensor shapes do not fit an operation. The message names the op and every shape involved. */
export class ShapeError extends StemmaError {
  override readonly name = "ShapeError";
}

/** The system does not let a file or folder be read or written: it is missing, forbidden, or the disk is full. */
export class FileError extends StemmaError {
  override readonly name = "FileError";
}

/** A setting, a flag or a combination of them is not acceptable: wrong usage, exit code 2. */
export class SettingsError extends StemmaError {
  override readonly name = "SettingsError";
}

/** Text, token files or records that cannot be trained on or read. */
export class DataError extends StemmaError {
  override readonly name = "DataError";
}

/** A model folder, tensor file or checkpoint that is missing, damaged, or of another shape. */
export class CheckpointError extends StemmaError {
  override readonly name = "CheckpointError";
}

/** The loss or a gradient stopped being a number, or a run went past a limit that was set for it. */
export class NumericalError extends StemmaError {
  override readonly name = "NumericalError";
}

/** The backend, the machine or this version cannot do what was asked. */
export class UnsupportedError extends StemmaError {
  override readonly name = "UnsupportedError";
}

/** A server that is not reached, refuses, or gives something else than what was asked for. */
export class NetworkError extends StemmaError {
  override readonly name = "NetworkError";
}

/** Work of several parts was stopped by its signal before the end; what was done is saved. */
export class InterruptedError extends StemmaError {
  override readonly name = "InterruptedError";
}

/** More memory is asked for than there is. */
export class MemoryError extends StemmaError {
  override readonly name = "MemoryError";
}
