import type { RequestEvent } from '../../../../bench/reconcile/audit.ts';

let made = 0;

/** Midnight of the day on which every request of these tests comes in. */
export const dayStart = Date.parse('2025-01-01T00:00:00Z');

/** A request as `verb resource/name/subresource` that came in `second` s after `dayStart` and took 0.1 s. */
export function request(what: string, second: number, change: Partial<RequestEvent> = {}): RequestEvent {
  const [verb = '', target = ''] = what.split(' ');
  const [resource = '', name, subresource] = target.split('/');
  made += 1;
  return {
    auditID: `id-${made}`,
    verb,
    requestURI: `/api/v1/namespaces/default/${resource}${name === undefined ? '' : `/${name}`}`,
    user: { username: 'registry-mirror-operator' },
    objectRef: {
      resource,
      ...(name !== undefined && { name }),
      ...(subresource !== undefined && { subresource }),
    },
    responseStatus: { code: 200 },
    requestReceivedTimestamp: at(second),
    stageTimestamp: at(second + 0.1),
    ...change,
  };
}

/** As the API server writes times: microseconds. */
function at(second: number): string {
  return new Date(dayStart + second * 1000).toISOString().replace('Z', '000Z');
}
