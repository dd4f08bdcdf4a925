/** The report for people. Pure. */

import { formatTable } from '../table.ts';
import type { VerbCounts } from './audit.ts';
import { expectationsOf } from './expectations.ts';
import type { Figures } from './figures.ts';

/** Returns the table of all runs, what is expected of them, and which requests the last (largest) run was made of. */
export function report(runs: readonly Figures[]): string {
  const last = runs.at(-1);
  const parts = [
    formatTable([header(runs), ...rows(runs)]),
    remarks,
    expectations(runs),
    ...(last ? requests(last) : []),
  ];
  return `${parts.join('\n\n')}\n`;
}

// Seen on two cores at loads of 1 to 8: 1.7 to 5.7 s for 50 mirrors by one build, 1.2 to 1.7 s of them CPU time.
const remarks = `Seconds depend on what else the machine does; several runs (--mirrors 50,50,50) show by how much.
Memory includes @kubernetes/client-node, which only a kubeconfig needs: in a cluster it is not loaded.`;

function header(runs: readonly Figures[]): string[] {
  return ['', ...runs.map(({ mirrors }) => (mirrors === 1 ? '1 mirror' : `${mirrors} mirrors`))];
}

function rows(runs: readonly Figures[]): string[][] {
  const row = (label: string, figure: (figures: Figures) => number | string) => [
    label,
    ...runs.map((figures) => String(figure(figures))),
  ];
  return [
    row('Until all objects exist and have a status, s', (run) => run.secondsUntilAllExist),
    row('  of these until the mirrors were created, s', (run) => run.secondsOfCreation),
    row('  load of the machine before it', (run) => run.loadBefore),
    row('  CPU time of the operator for it, s', (run) => run.cpuSeconds),
    row('Requests per new mirror', (run) => run.newMirrors.requestsPerMirror),
    ...verbRows(runs, ({ newMirrors }) => newMirrors.requests),
    row('  most for one mirror', (run) => run.newMirrors.mostRequestsForOne),
    row('  naming no mirror, in all', (run) => run.newMirrors.requestsNamingNone),
    row('  refused, in all', (run) => run.newMirrors.refused),
    row(`Requests in ${Math.round(runs[0]?.idle.seconds ?? 0)} idle s`, (run) => run.idle.requests.total),
    row('  for the Lease', (run) => run.idle.leaseRequests),
    row('  writes but the Lease', (run) => run.idle.writesButLease),
    row('Requests at a restart', (run) => run.restart.requests.total),
    row('  for the Lease', (run) => run.restart.leaseRequests),
    row('  writes but the Lease', (run) => run.restart.writesButLease),
    row('  from SIGTERM until leading again, s', (run) => run.restart.secondsUntilLeading),
    row('Memory, MiB: highest RSS', (run) => run.memory.peak),
    row('  RSS when idle', (run) => run.memory.now),
    row('  of this anonymous', (run) => run.memory.anonymous),
  ];
}

/** A row for each verb any run has used, per mirror. */
function verbRows(runs: readonly Figures[], counts: (figures: Figures) => VerbCounts): string[][] {
  const verbs = [...new Set(runs.flatMap((run) => Object.keys(counts(run).verbs)))].sort();
  return verbs.map((verb) => [
    `  ${verb}`,
    ...runs.map((run) => String(Math.round(((counts(run).verbs[verb] ?? 0) / run.mirrors) * 100) / 100)),
  ]);
}

function expectations(runs: readonly Figures[]): string {
  const lines = expectationsOf(runs).map(({ text, met, measured }) => [
    met ? '  met' : '  NOT MET',
    `${text}: ${measured}`,
  ]);
  return `Expected:\n${formatTable(lines, 'left')}`;
}

function requests({ mirrors, newMirrors, idle, restart }: Figures): string[] {
  return [
    list(
      mirrors === 1 ? 'Requests for the new mirror' : `Requests for ${mirrors} new mirrors`,
      newMirrors.tally,
    ),
    list('Requests while idle', idle.tally),
    list('Requests at the restart', restart.tally),
  ];
}

function list(title: string, tally: Record<string, number>): string {
  const width = Math.max(...Object.values(tally).map((count) => String(count).length), 1);
  const lines = Object.entries(tally).map(([what, count]) => `  ${String(count).padStart(width)} ${what}`);
  return `${title}:\n${lines.length === 0 ? '  none' : lines.join('\n')}`;
}
