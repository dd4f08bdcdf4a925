/** Whether the containerd of a node looks for `hosts.toml` where its files say. Pure. */
import { type ContainerdConfig, readConfigs } from './config.ts';
import { pathInForce } from './config-path.ts';
import type { HostFiles } from './host-files.ts';
import { containerdLiveness, isNewer, type Liveness, type ReadFile } from './liveness.ts';

export interface InForceFacts {
  readonly release?: string | undefined;
  /** The file that it was started with; undefined: it does not run. */
  readonly configFile?: string | undefined;
  /** Undefined: it does not run. Milliseconds since 1970, as `now`. */
  readonly startedAt?: number | undefined;
  readonly now: number;
}

/** Of several configurations that may be in force, the first that is not is told; one that cannot be read may say anything. */
export function containerdInForce(
  host: HostFiles,
  { release, configFile, startedAt, now }: InForceFacts,
): Liveness {
  const { configs, findings } = readConfigs(host, release, configFile);
  const unread = findings.find(({ blocks }) => blocks);
  if (unread !== undefined) return { live: false, reason: unread.reason, message: unread.message };
  const enabled: (ContainerdConfig | undefined)[] = configs.filter(({ disabled }) => !disabled);
  const all = (enabled.length > 0 ? enabled : [undefined]).map((config) =>
    containerdLiveness({
      configs: (config?.files ?? []).map((path) => readFile(path, config?.generated, host)),
      processStartedAt: startedAt,
      pathDecision: pathInForce(config, release),
      now,
    }),
  );
  return all.find(({ live }) => !live) ?? { live: true, reason: '', message: '' };
}

/** The files of the configuration that were changed since it was started. */
export function changedSinceStart(
  host: HostFiles,
  { release, configFile, startedAt }: InForceFacts,
): string[] {
  if (startedAt === undefined) return [];
  const files = readConfigs(host, release, configFile).configs.flatMap((config) =>
    config.files.map((path) => readFile(path, config.generated, host)),
  );
  return files.filter((file) => isNewer(file, startedAt)).map(({ path }) => path);
}

function readFile(path: string, generated: string | undefined, { read }: HostFiles): ReadFile {
  const state = read(path);
  const isGenerated = generated !== undefined && path.startsWith(generated);
  const isDated = state.kind === 'file' && state.mtimeMs !== undefined;
  return { path, generated: isGenerated, ...(isDated && { mtimeMs: state.mtimeMs }) };
}
