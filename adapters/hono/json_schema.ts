import type { Schema } from "../../src/schema.ts";

/** A JSON Schema of draft 2020-12, or as much of it as the contract's schema can say. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The side of a schema that is written down: what goes into it, or what comes out of it. */
export type Side = "input" | "output";

/** Writes a schema that does not do so itself, by a function of its library. */
export type ToJsonSchema = (schema: never, side: Side) => object;

/** Collects schemas for a document that has them all in one place. */
export class SchemaWriter {
  /** The parts that other schemas point to, by their name in the document. */
  readonly shared: Record<string, JsonSchema> = {};
  readonly #convert: ToJsonSchema | undefined;

  constructor(convert: ToJsonSchema | undefined) {
    this.#convert = convert;
  }

  /** Writes one side of a schema; `{}`, which everything fits, if it cannot be said in JSON Schema. */
  write(schema: Schema, side: Side, name: string): JsonSchema {
    const { $schema: _, $defs, ...root } = { ...this.#raw(schema, side) } as Record<string, unknown>;
    const prefix = name.replace(/[^\w.-]/g, "_");
    const pointed = { root: false };
    const place = (ref: string): string => {
      if (ref === "#") {
        pointed.root = true;
        return `#/components/schemas/${prefix}`;
      }
      return ref.replace(
        /^#\/(?:\$defs|definitions)\/([^/]+)/,
        (_, part: string) => `#/components/schemas/${key(part)}`,
      );
    };
    const key = (part: string): string => `${prefix}.${part.replace(/[^\w.-]/g, "_")}`;
    for (const [part, definition] of Object.entries(Object($defs) as Record<string, unknown>)) {
      this.shared[key(part)] = rewritten(definition, place) as JsonSchema;
    }
    const written = rewritten(root, place) as JsonSchema;
    if (!pointed.root) return written;
    this.shared[prefix] = written;
    return { $ref: `#/components/schemas/${prefix}` };
  }

  #raw(schema: Schema, side: Side): object {
    const { jsonSchema } = schema["~standard"] as { readonly jsonSchema?: StandardJsonSchema };
    try {
      if (jsonSchema !== undefined) return jsonSchema[side]({ target: "draft-2020-12" });
      return this.#convert?.(schema as never, side) ?? {};
    } catch {
      return {};
    }
  }
}

/** What a schema carries that speaks Standard JSON Schema. */
type StandardJsonSchema = Readonly<Record<Side, (options: { readonly target: "draft-2020-12" }) => object>>;

function rewritten(part: unknown, place: (ref: string) => string): unknown {
  if (Array.isArray(part)) return part.map((item) => rewritten(item, place));
  if (typeof part !== "object" || part === null) return part;
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" ? place(value) : rewritten(value, place),
    ]),
  );
}
