/** The report for people. Pure. */
import { formatTable } from '../table.ts';
import { expectationsOf } from './expectations.ts';
import { type Measurement, type Summary, summaryOf } from './figures.ts';
import type { Scenario } from './scenarios.ts';

const header = [
  'first byte: median',
  'worst, s',
  'last client, s',
  'MiB/s',
  'upstream: bytes',
  'requests',
  'redirects',
  'tokens',
  'CPU s',
  'clients’',
  'upstream’s',
  'miss ms/MiB',
  'failures',
];

/** Returns a table for each scenario, what is expected, and what failed. */
export function report(scenarios: readonly Scenario[], all: readonly Measurement[]): string {
  const parts = [
    ...scenarios.map((scenario) => section(scenario, all)).filter((text) => text !== ''),
    remarks,
    expectations(all),
    ...failures(all),
  ];
  return `${parts.join('\n\n')}\n`;
}

const remarks = `Median of all rounds. First byte: of the answer, connecting and the TLS handshake included (curl's time_starttransfer).
"upstream: bytes" is the multiple of what one client fetches. CPU: processor seconds of all processes of the contender, of the clients, and of the upstream. The static file is what is left to any server.
"miss": of the processes that fetch from the upstream, for each MiB that came from there.`;

function section(scenario: Scenario, all: readonly Measurement[]): string {
  const own = Map.groupBy(
    all.filter((measurement) => measurement.scenario === scenario.name),
    ({ contender }) => contender,
  );
  if (own.size === 0) return '';
  const size =
    scenario.object === 'blob' ? `${scenario.mebibytes} MiB` : `image of ${scenario.mebibytes} MiB`;
  const rows = [...own].map(([contender, rounds]) => [contender, ...cells(summaryOf(rounds))]);
  return formatTable([[`${scenario.title} (${size})`, ...header], ...rows]);
}

function cells(summary: Summary): string[] {
  return [
    summary.firstByteMedian.toFixed(3),
    summary.firstByteWorst.toFixed(3),
    summary.seconds.toFixed(2),
    summary.mebibytesPerSecond.toFixed(0),
    `${summary.multiple.toFixed(2)}x`,
    String(summary.requests),
    String(summary.redirects),
    String(summary.tokens),
    summary.contenderCpu.toFixed(2),
    summary.clientCpu.toFixed(2),
    summary.upstreamCpu.toFixed(2),
    summary.missCpuPerMebibyte === undefined ? '-' : summary.missCpuPerMebibyte.toFixed(1),
    String(summary.failures),
  ];
}

function expectations(all: readonly Measurement[]): string {
  const lines = expectationsOf(all).map(({ text, met, measured }) => [
    met ? '  ok' : '  MISSED',
    `${text}: ${measured}`,
  ]);
  return `Expected:\n${formatTable(lines, 'left')}`;
}

/** The first failure of each contender and scenario, and how many there were. */
function failures(all: readonly Measurement[]): string[] {
  const failed = all.filter((measurement) => measurement.failures.length > 0);
  const groups = Map.groupBy(failed, ({ contender, scenario }) => `${contender}, ${scenario}`);
  const lines = [...groups].map(([label, measurements]) => {
    const texts = measurements.flatMap(({ failures }) => failures);
    return `  ${label}: ${texts.length}, such as ${texts[0]}`;
  });
  return lines.length === 0 ? [] : [`Failed transfers:\n${lines.join('\n')}`];
}
