/** What an upstream was asked, counted from its access logs. Pure. */

export interface UpstreamUse {
  /** All requests, those for tokens and at the second origin included. */
  readonly requests: number;
  readonly tokens: number;
  readonly redirects: number;
  /** Bytes of bodies at the second origin, what was broken off included. */
  readonly bytes: number;
}

/** Counts lines of `STATUS BYTES METHOD PATH` of the registry and of its second origin. */
export function upstreamUse(registry: string, cdn: string): UpstreamUse {
  const [asked, fetched] = [linesOf(registry), linesOf(cdn)];
  return {
    requests: asked.length + fetched.length,
    tokens: asked.filter(({ path }) => path === '/token').length,
    redirects: asked.filter(({ status }) => status === 307).length,
    bytes: fetched.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function linesOf(text: string): { status: number; bytes: number; path: string }[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [status, bytes, , path = ''] = line.split(' ');
      return { status: Number(status), bytes: Number(bytes), path };
    });
}
