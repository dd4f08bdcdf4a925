/** Warnings for whoever made the object, as many and as long as the API server passes on. Pure. */
import { redact } from '../observe/redact.ts';

/** The API server cuts each at 256 characters once all are longer than 4096, and drops those with control characters. */
const longest = 256;
const most = 16;

/** Each once, without secrets, shortened; what is left out is counted in the last one. */
export function fitWarnings(warnings: readonly string[]): string[] {
  const different = [...new Set(warnings)];
  if (different.length <= most) return different.map(fit);
  const left = different.length - most + 1;
  return [...different.slice(0, most - 1).map(fit), `${left} more images stay as they are`];
}

function fit(warning: string): string {
  const shown = redact(warning.slice(0, 4 * longest)).replace(/[\p{Cc}\p{Cs}]/gu, '?');
  const characters = [...shown];
  return characters.length <= longest ? shown : `${characters.slice(0, longest - 1).join('')}…`;
}
