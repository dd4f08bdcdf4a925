/** The figures of one measurement, and of all rounds of it. Pure. */
import type { Pulled } from './clients.ts';
import type { UpstreamUse } from './upstream-log.ts';

/** Processor seconds while a scenario was measured. */
export interface CpuSeconds {
  readonly clients: number;
  /** All processes of the contender, and of these the ones that fetch what is missed. */
  readonly contender: number;
  readonly miss: number;
  readonly upstream: number;
}

export interface Measurement {
  readonly round: number;
  readonly scenario: string;
  readonly contender: string;
  /** Until the last client had all bytes. */
  readonly seconds: number;
  readonly firstByteMedian: number;
  readonly firstByteWorst: number;
  readonly upstream: UpstreamUse;
  /** What the upstream sent as a multiple of the object. */
  readonly multiple: number;
  /** What all clients got. */
  readonly mebibytes: number;
  readonly cpu: CpuSeconds;
  readonly failures: readonly string[];
}

const mebibyte = 1024 * 1024;

/** Computes what one pull of all clients comes to; `objectBytes` is the size of all that one client fetches. */
export function measurementOf(
  of: Pick<Measurement, 'round' | 'scenario' | 'contender'>,
  seen: { pulled: Pulled; upstream: UpstreamUse; objectBytes: number; cpu: Omit<CpuSeconds, 'clients'> },
): Measurement {
  const { pulled, upstream, objectBytes, cpu } = seen;
  const firstBytes = pulled.transfers.map(({ firstByteSeconds }) => firstByteSeconds);
  return {
    ...of,
    seconds: pulled.seconds,
    firstByteMedian: median(firstBytes),
    firstByteWorst: Math.max(0, ...firstBytes),
    upstream,
    multiple: upstream.bytes / objectBytes,
    mebibytes: pulled.transfers.reduce((sum, { bytes }) => sum + bytes, 0) / mebibyte,
    cpu: { ...cpu, clients: pulled.cpuSeconds },
    failures: pulled.failures,
  };
}

/** The median of all rounds, figure by figure; failures are those of all rounds together. */
export interface Summary {
  readonly rounds: number;
  readonly seconds: number;
  readonly firstByteMedian: number;
  readonly firstByteWorst: number;
  readonly requests: number;
  readonly redirects: number;
  readonly tokens: number;
  readonly multiple: number;
  readonly mebibytesPerSecond: number;
  readonly clientCpu: number;
  readonly contenderCpu: number;
  readonly upstreamCpu: number;
  /** Milliseconds of processor time for each MiB that came from the upstream; undefined where none did. */
  readonly missCpuPerMebibyte: number | undefined;
  readonly failures: number;
}

/** Sums up the rounds of one contender in one scenario. */
export function summaryOf(rounds: readonly Measurement[]): Summary {
  const of = (figure: (measurement: Measurement) => number) => median(rounds.map(figure));
  return {
    rounds: rounds.length,
    seconds: of(({ seconds }) => seconds),
    firstByteMedian: of(({ firstByteMedian }) => firstByteMedian),
    firstByteWorst: of(({ firstByteWorst }) => firstByteWorst),
    requests: of(({ upstream }) => upstream.requests),
    redirects: of(({ upstream }) => upstream.redirects),
    tokens: of(({ upstream }) => upstream.tokens),
    multiple: of(({ multiple }) => multiple),
    mebibytesPerSecond: of(({ mebibytes, seconds }) => mebibytes / seconds),
    clientCpu: of(({ cpu }) => cpu.clients),
    contenderCpu: of(({ cpu }) => cpu.contender),
    upstreamCpu: of(({ cpu }) => cpu.upstream),
    missCpuPerMebibyte: missCpu(rounds),
    failures: rounds.reduce((sum, { failures }) => sum + failures.length, 0),
  };
}

function missCpu(rounds: readonly Measurement[]): number | undefined {
  const missed = rounds.reduce((sum, { upstream }) => sum + upstream.bytes, 0) / mebibyte;
  const seconds = rounds.reduce((sum, { cpu }) => sum + cpu.miss, 0);
  return missed === 0 || seconds === 0 ? undefined : (1000 * seconds) / missed;
}

/**
 * A figure of one contender divided by that of another: the median of each round's own quotient, since what else the
 * machine does differs more between rounds than within one. Undefined where no round has both.
 */
export function ratio(
  measurements: readonly Measurement[],
  of: { scenario: string; contender: string; to: string },
  figure: (measurement: Measurement) => number,
): number | undefined {
  const inScenario = measurements.filter(({ scenario }) => scenario === of.scenario);
  const quotients = inScenario
    .filter(({ contender }) => contender === of.contender)
    .flatMap((own) => {
      const other = inScenario.find(({ contender, round }) => contender === of.to && round === own.round);
      return other === undefined ? [] : [figure(own) / figure(other)];
    });
  return quotients.length === 0 ? undefined : median(quotients);
}

/** The middle value, or the mean of the two; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return 0;
  const [low = 0, high = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}
