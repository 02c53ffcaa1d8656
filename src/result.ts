/** A failure that is plain data: it can be compared, logged and sent to another node as it is. */
export interface Fault<Code extends string = string, Data = unknown> {
  /** What went wrong, for a `switch`. */
  readonly code: Code;
  /** What was tried, what was found, what to do; for a person. */
  readonly message: string;
  /** The details that the contract declares for this code. */
  readonly data: Data;
  /** Whether the same call may succeed later. Says nothing about whether sending it twice is safe. */
  readonly retryable: boolean;
  /** What was thrown, if anything was. Never leaves the process. */
  readonly cause?: unknown;
}

/**
 * The failures every call can end with.
 *
 * `UNAVAILABLE` and `OVERLOADED` promise that no handler was started; after `TIMEOUT`, `CANCELLED` and
 * `TRANSPORT` it may have run.
 */
export type SystemCode =
  | "VALIDATION"
  | "NO_HANDLER"
  | "CONFLICT"
  | "TIMEOUT"
  | "CANCELLED"
  | "UNAVAILABLE"
  | "OVERLOADED"
  | "TRANSPORT"
  | "SERIALIZATION"
  | "INTERNAL";

/** A failure with one of the codes every call can end with. */
export type SystemFault = Fault<SystemCode>;

/** The answer of a call that went well. */
export interface Success<T> {
  /** Tells it from a failure. */
  readonly ok: true;
  /** What the call was answered with. */
  readonly value: T;
}

/** The answer of a call that did not. */
export interface Failure<F extends Fault = Fault> {
  /** Tells it from a success. */
  readonly ok: false;
  /** Why the call failed. */
  readonly error: F;
}

/** What every call resolves to: a value or a typed failure, never a thrown surprise. */
export type Result<T, F extends Fault = SystemFault> = Success<T> | Failure<F>;

/** The fault of a failure with this code. */
export type FailureOf<F> = F extends Fault ? Failure<F> : never;

// The brand stands on the prototypes, so that a handler's plain `{ ok: true, value }` stays a value and a
// result from a second copy of this package is still a result.
const RESULT: unique symbol = Symbol.for("catga.result") as never;

class Succeeded<T> implements Success<T> {
  declare readonly ok: true;
  declare readonly value: T;
  constructor(value: T) {
    this.ok = true;
    this.value = value;
  }
}

class Failed<F extends Fault> implements Failure<F> {
  readonly ok = false as const;
  readonly error: F;
  constructor(error: F) {
    this.error = error;
  }
}

Object.defineProperty(Succeeded.prototype, RESULT, { value: true });
Object.defineProperty(Failed.prototype, RESULT, { value: true });

/**
 * Wraps a value as a success.
 *
 * @example
 * ```ts
 * import { ok } from "@catga/catga";
 * const result = ok(42);
 * if (result.ok) console.log(result.value);
 * ```
 */
export function ok<T>(value: T): Success<T> {
  return new Succeeded(value);
}

/**
 * Makes a failure of the contract's own codes, for a handler to return.
 *
 * @param code one of the codes the contract declares in `errors`
 * @param data what the contract declares for that code
 * @param message for a person; the code if left out
 *
 * @example
 * ```ts
 * import { fail } from "@catga/catga";
 * const failure = fail("OUT_OF_STOCK", { left: 3 });
 * console.log(failure.error.data.left);
 * ```
 */
export function fail<const Code extends string>(code: Code): Failure<Fault<Code, undefined>>;
/** Makes a failure that has data. */
export function fail<const Code extends string, Data>(
  code: Code,
  data: Data,
  message?: string,
): Failure<Fault<Code, Data>>;
export function fail(code: string, data?: unknown, message?: string): Failure {
  return new Failed({ code, message: message ?? code, data, retryable: false });
}

/** Wraps a fault as a failure. */
export function failure<F extends Fault>(error: F): Failure<F> {
  return new Failed(error);
}

/** Whether a value was made by {@linkcode ok}, {@linkcode fail} or {@linkcode failure}. */
export function isResult(value: unknown): value is Result<unknown, Fault> {
  return typeof value === "object" && value !== null && (value as { [RESULT]?: true })[RESULT] === true;
}

const RETRYABLE: readonly SystemCode[] = ["TIMEOUT", "UNAVAILABLE", "OVERLOADED", "TRANSPORT"];

/** Makes one of the failures every call can end with. */
export function systemFault(code: SystemCode, message: string, data?: unknown, cause?: unknown): SystemFault {
  const retryable = RETRYABLE.includes(code);
  return cause === undefined ? { code, message, data, retryable } : { code, message, data, retryable, cause };
}

const BRAND: unique symbol = Symbol.for("catga.error") as never;

/** A {@linkcode Fault} as an `Error`, for code that throws. */
export class CatgaError<Code extends string = string, Data = unknown> extends Error
  implements Fault<Code, Data> {
  /** Tells it from other errors in print. */
  override readonly name = "CatgaError";
  /** The fault's code. */
  readonly code: Code;
  /** The fault's details. */
  readonly data: Data;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  /** Makes an error of a fault; the fault's `cause` becomes the error's. */
  constructor(fault: Fault<Code, Data>) {
    super(fault.message, fault.cause === undefined ? undefined : { cause: fault.cause });
    this.code = fault.code;
    this.data = fault.data;
    this.retryable = fault.retryable;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** The fault without its cause: what may be logged and sent. */
  toJSON(): Fault<Code, Data> {
    return { code: this.code, message: this.message, data: this.data, retryable: this.retryable };
  }

  /** Whether a value is a `CatgaError`, also one of another copy of this package. */
  static is(value: unknown): value is CatgaError {
    return typeof value === "object" && value !== null && (value as { [BRAND]?: true })[BRAND] === true;
  }
}

/** The fault behind something thrown: a `CatgaError`'s own, `INTERNAL` for anything else. */
export function faultOf(thrown: unknown): Fault {
  if (CatgaError.is(thrown)) {
    return {
      code: thrown.code,
      message: thrown.message,
      data: thrown.data,
      retryable: thrown.retryable,
      cause: thrown,
    };
  }
  return systemFault(
    "INTERNAL",
    "The handler failed",
    undefined,
    thrown ?? new Error(`Thrown: ${String(thrown)}`),
  );
}

/**
 * The value of a success; throws a {@linkcode CatgaError} for a failure.
 *
 * @example
 * ```ts
 * import { ok, unwrap } from "@catga/catga";
 * console.log(unwrap(ok(42)));
 * ```
 */
export function unwrap<T>(result: Result<T, Fault>): T {
  if (result.ok) return result.value;
  throw new CatgaError(result.error);
}
