import type { Measurement } from '../../../../bench/cache/figures.ts';

/** A cold herd's measurement that keeps every promise but for what is changed. */
export function measurement(changes: Partial<Measurement> = {}): Measurement {
  return {
    round: 0,
    scenario: 'cold-24',
    contender: 'mirror',
    seconds: 1,
    firstByteMedian: 0.1,
    firstByteWorst: 0.2,
    upstream: { requests: 5, tokens: 1, redirects: 1, bytes: 1024 * 1024 },
    multiple: 1,
    mebibytes: 24,
    cpu: { clients: 0.5, contender: 0.6, miss: 0.01, upstream: 0.1 },
    failures: [],
    ...changes,
  };
}
