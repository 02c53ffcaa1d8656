/**
 * A validator of the Standard Schema specification, version 1 (https://standardschema.dev): valibot, zod, arktype
 * and others all are one.
 */
export interface Schema<In = unknown, Out = In> {
  /** Where the specification keeps its part. */
  readonly "~standard": StandardProps<In, Out>;
}

/** What a standard schema carries under `~standard`. */
export interface StandardProps<In, Out> {
  /** The version of the specification. */
  readonly version: 1;
  /** The library it is of. */
  readonly vendor: string;
  /** Checks a value. */
  readonly validate: (value: unknown) => Checked<Out> | Promise<Checked<Out>>;
  /** Types only; never there at run time. */
  readonly types?: { readonly input: In; readonly output: Out } | undefined;
}

/** One thing a schema found wrong, and where. */
export interface Issue {
  /** What is wrong. */
  readonly message: string;
  /** Where, from the value down. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema answers: the checked value or what is wrong with it. */
export type Checked<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

const trusted: Schema<unknown> = {
  "~standard": { version: 1, vendor: "catga", validate: (value) => ({ value }) },
};

/**
 * A schema that trusts the compiler and checks nothing at run time.
 *
 * @example
 * ```ts
 * import { query, type } from "@catga/catga";
 * const GetTime = query("time.get", { input: type<{ zone: string }>(), output: type<string>() });
 * ```
 */
export function type<T>(): Schema<T> {
  return trusted as Schema<T>;
}

/** Whether a schema is {@linkcode type}'s, so that checking can be left out. */
export function isTrusted(schema: object): boolean {
  return schema === trusted;
}
