/** What went wrong, in the words of OpenAI's interface: clients choose their exception by the status. */
export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "timeout_error"
  | "rate_limit_error"
  | "server_error"
  | "unavailable_error";

const typeOfStatus: Readonly<Record<number, ErrorType>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  429: "rate_limit_error",
  503: "unavailable_error",
};

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: ErrorType;
    /** The field that is wrong; null where it is none. */
    readonly param: string | null;
    readonly code: string | null;
    readonly [detail: string]: unknown;
  };
}

/** What a client may be told beside the message. */
export interface ErrorDetails {
  readonly param?: string | null;
  readonly code?: string | null;
  /** Further entries of the error's object, such as `n_ctx`. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Seconds after which the same request may do; without it, clients are told not to ask again. */
  readonly retryAfter?: number | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is not a success. The message names the value and the remedy: it is all that a client sees. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly details: ErrorDetails;

  constructor(status: number, message: string, details: ErrorDetails = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }

  /** The object that stands in answers and in streams. */
  get body(): ErrorBody {
    const { param = null, code = null, more = {} } = this.details;
    const type = typeOfStatus[this.status] ?? (this.status >= 500 ? "server_error" : "invalid_request_error");
    return { error: { message: this.message, type, param, code, ...more } };
  }

  /** Headers beside those of every answer. */
  get headers(): Record<string, string> {
    const { retryAfter = null, headers = {} } = this.details;
    return {
      ...headers,
      ...(retryAfter === null ? {} : { "retry-after": String(Math.ceil(retryAfter)) }),
      // Clients of OpenAI's repeat some requests by themselves.
      "x-should-retry": String(retryAfter !== null),
    };
  }
}

/** A field of a request that is wrong. */
export function wrongField(param: string, message: string, code: string | null = null): ApiError {
  return new ApiError(400, message, { param, code });
}

/** A field that would change the answer, and that this server or model cannot do. */
export function unsupportedField(param: string, why: string): ApiError {
  return new ApiError(400, `${param}: ${why}`, { param, code: "unsupported_parameter" });
}
