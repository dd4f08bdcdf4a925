/** What the operator has promised about its figures, and whether the measured ones keep it. Pure. */
import type { Figures } from './figures.ts';

export interface Expectation {
  text: string;
  met: boolean;
  /** The figure of each run it is about. */
  measured: string;
}

interface Promised {
  text: string;
  /** The figure a promise is about; undefined where a run has none. */
  figure: (figures: Figures) => number | undefined;
  most: number;
}

const promises: readonly Promised[] = [
  {
    text: 'At most 10 requests for a new mirror, status and finalizer included',
    figure: ({ newMirrors }) => newMirrors.mostRequestsForOne,
    most: 10,
  },
  {
    text: 'At most 10 requests per new mirror, counting those that name none',
    figure: ({ newMirrors }) => newMirrors.requestsPerMirror,
    most: 10,
  },
  {
    text: 'No write but the Lease while idle',
    figure: ({ idle }) => idle.writesButLease,
    most: 0,
  },
  {
    text: 'No write but the Lease at a restart',
    figure: ({ restart }) => restart.writesButLease,
    most: 0,
  },
  {
    // One list of pods, to ask the node agents.
    text: 'At most 24 requests at a restart',
    figure: ({ restart }) => restart.requests.total,
    most: 24,
  },
  {
    // Half of the 3.6 s which the project's contract gives for the original; it was not measured here.
    text: 'At most 1.8 s for 50 mirrors (half of what the contract documents for the original)',
    figure: ({ mirrors, secondsUntilAllExist }) => (mirrors === 50 ? secondsUntilAllExist : undefined),
    most: 1.8,
  },
];

/** Returns the expectations the runs have figures for. */
export function expectationsOf(runs: readonly Figures[]): Expectation[] {
  return promises.flatMap(({ text, figure, most }) => {
    const measured = runs.map(figure).filter((value) => value !== undefined);
    if (measured.length === 0) return [];
    return [{ text, met: measured.every((value) => value <= most), measured: measured.join(', ') }];
  });
}
