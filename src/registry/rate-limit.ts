/** Reads what a registry says of its rate limit (Docker Hub, "Pull rate limit": `ratelimit-limit: 100;w=21600`). Pure. */

export interface RateLimit {
  /** Pulls allowed in a window. */
  readonly limit: number;
  readonly remaining: number;
  readonly windowSeconds?: number;
}

/** Takes an answer's headers; undefined when they do not say both. */
export function parseRateLimit(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): RateLimit | undefined {
  const limit = parse(headers['ratelimit-limit']);
  const remaining = parse(headers['ratelimit-remaining']);
  if (limit === undefined || remaining === undefined) return undefined;
  const windowSeconds = limit.window ?? remaining.window;
  return {
    limit: limit.value,
    remaining: remaining.value,
    ...(windowSeconds !== undefined && { windowSeconds }),
  };
}

function parse(header: string | string[] | undefined): { value: number; window?: number } | undefined {
  const match = /^\s*(\d{1,9})(?:\s*;.*?\bw=(\d{1,9}))?/.exec(typeof header === 'string' ? header : '');
  if (match === null) return undefined;
  return { value: Number(match[1]), ...(match[2] !== undefined && { window: Number(match[2]) }) };
}
