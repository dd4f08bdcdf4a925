/** Whether the containerd of a node looks for `hosts.toml` where its files say. Pure. */
import { type ContainerdConfig, readConfigs } from './config.ts';
import { pathInForce } from './config-path.ts';
import type { HostFiles } from './host-files.ts';
import { containerdLiveness, type Liveness } from './liveness.ts';

export interface InForceFacts {
  readonly release?: string | undefined;
  /** Undefined: it does not run. Milliseconds since 1970, as `now`. */
  readonly startedAt?: number | undefined;
  readonly now: number;
}

/** Of several configurations that may be in force, the first that is not is told. */
export function containerdInForce(host: HostFiles, { release, startedAt, now }: InForceFacts): Liveness {
  const { configs } = readConfigs(host, release);
  const enabled: (ContainerdConfig | undefined)[] = configs.filter(({ disabled }) => !disabled);
  const all = (enabled.length > 0 ? enabled : [undefined]).map((config) =>
    containerdLiveness({
      configs: (config?.files ?? []).map((path) => ({ path, ...timeOf(path, host) })),
      processStartedAt: startedAt,
      pathDecision: pathInForce(config, release),
      now,
    }),
  );
  return all.find(({ live }) => !live) ?? { live: true, reason: '', message: '' };
}

function timeOf(path: string, { read }: HostFiles): { readonly mtimeMs?: number } {
  const state = read(path);
  return state.kind === 'file' && state.mtimeMs !== undefined ? { mtimeMs: state.mtimeMs } : {};
}
