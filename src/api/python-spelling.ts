/** Fields as Kubernetes' Python client spells them, which the original operator handed them to. Pure. */

/** `toleration_seconds` becomes `tolerationSeconds`, None is left out; a field that is there in both spellings is what the API's says. */
export function inApiSpelling(fields: object): Record<string, unknown> {
  const spelled = Object.entries(fields).flatMap(([name, value]) => {
    const apiName = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const isOther = apiName !== name && Object.hasOwn(fields, apiName);
    return value === null || isOther ? [] : [[apiName, value] as const];
  });
  return Object.fromEntries(spelled);
}
