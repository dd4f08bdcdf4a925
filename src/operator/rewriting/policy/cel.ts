/** Small pieces of CEL, as text. What Kubernetes 1.34 offers is used: optional values, two-variable macros, its string functions. Pure. */

/** A text as it stands in CEL, for regular expressions without quotes: nothing in it is an escape. */
export function raw(text: string): string {
  if (text.includes("'")) throw new TypeError(`Expected an expression without quotes, got ${text}`);
  return `r'${text}'`;
}

/** A text with whatever is in it. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Gives `value` a name in `body`: CEL here has no other way to compute something once. */
export function bind(value: string, name: string, body: string): string {
  return `[${value}].map(${name}, ${body})[0]`;
}

/** The first case whose condition holds, else `otherwise`; asked in order, and no further. */
export function choose(cases: readonly (readonly [string, string])[], otherwise: string): string {
  return cases.reduceRight((rest, [condition, value]) => `${condition} ? ${value} : ${rest}`, otherwise);
}

/** All of them, asked in order, and no further than one that fails. */
export function allOf(conditions: readonly string[]): string {
  return conditions.map((condition) => `(${condition})`).join(' && ');
}

/** Any of them. */
export function anyOf(conditions: readonly string[]): string {
  return conditions.map((condition) => `(${condition})`).join(' || ');
}
