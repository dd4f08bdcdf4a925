/** What of a zod schema tells where fields, items and values are, for walks along an object. Pure; used by `src/api` only. */
import type * as z from 'zod';

export interface Shape {
  /** Of an object. */
  readonly shape?: Readonly<Record<string, Holder>>;
  /** Of an object that takes other fields too. */
  readonly catchall?: unknown;
  /** Of a list. */
  readonly element?: Holder;
  /** Of a map. */
  readonly valueType?: Holder;
}

/** A schema, as another one holds it. */
interface Holder {
  readonly def: Shape & { readonly innerType?: Holder };
}

/** What is behind `optional` and `default`. */
export function shapeOf(schema: Holder | z.ZodType): Shape {
  const { def } = schema as Holder;
  return def.innerType ? shapeOf(def.innerType) : def;
}

/** The schema of the field `name`; undefined where there is no such field, also for names that every object has. */
export function fieldOf({ shape }: Shape, name: string): Holder | undefined {
  return shape && Object.hasOwn(shape, name) ? shape[name] : undefined;
}
