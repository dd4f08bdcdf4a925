/** The words of pods in conditions: their form is checked here. Pure. */

/** A condition's reason is one CamelCase word. */
export function reasonWord(reason: string | undefined, otherwise: string): string {
  return reason !== undefined && /^[A-Za-z][A-Za-z0-9]{0,63}$/.test(reason) ? reason : otherwise;
}

const longestText = 500;

/** A part of a condition's message. */
export function shortText(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text;
}

/** The latest moment, to the minute, so that it stands still for a while; moments that are none do not count. */
export function latestMinute(moments: readonly (string | undefined)[]): string | undefined {
  const latest = moments.reduce((last, moment) => Math.max(last, Date.parse(moment ?? '') || 0), 0);
  return latest === 0 ? undefined : new Date(latest).toISOString().replace(/:\d\d\.\d+Z$/, ':00Z');
}
