/** `uninstall`: deletes every mirror and waits until its nodes are restored; afterwards, what the operator leaves in its namespace. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ClusterFlags, connectCluster } from './connect-cluster.ts';
import { deleteLeftovers } from './delete-leftovers.ts';
import { deleteMirrors } from './delete-mirrors.ts';
import { endOfCommand } from './mirror-flags.ts';

interface UninstallFlags extends ClusterFlags {
  /** Milliseconds. */
  readonly timeout: number;
  readonly leftovers?: true;
  readonly byServices?: true;
  readonly dryRun?: true;
}

/** The operator gives nodes that cannot be reached five minutes. */
const defaultTimeout = '10m';

/** Returns the command; its exit code is 1 when a mirror is left. */
export function uninstallCommand(): Command {
  return new Command('uninstall')
    .description(
      'Deletes every RegistryMirror and waits until all nodes are restored. The operator must still run: it does that. ' +
        'Then remove its manifests, and then, with --leftovers, what it made for all mirrors in its namespace.',
    )
    .option(
      '--leftovers',
      'delete the shared node agents, the authority and the lease of an operator that is gone',
    )
    .option(
      '--by-services',
      'with --leftovers: see by their Services whether there are mirrors, which needs no right outside the namespace',
    )
    .addOption(timeoutOption())
    .option('--dry-run', 'say what would be deleted, and delete nothing')
    .option('-n, --namespace <name>', 'of the operator (default: NAMESPACE, else default)')
    .option('--context <name>', 'of the kubeconfig')
    .option('--kubeconfig <file>', 'instead of KUBECONFIG')
    .allowExcessArguments(false)
    .action(uninstall);
}

async function uninstall(flags: UninstallFlags): Promise<void> {
  const signal = endOfCommand({});
  const { client, namespace } = await connectCluster(flags, 'registry-mirror-operator/uninstall');
  const { dryRun = false, timeout: timeoutMs, leftovers, byServices = false } = flags;
  const left = { client, namespace, byServices, dryRun, print, signal };
  try {
    if (leftovers) await deleteLeftovers(left);
    else if (!(await deleteMirrors({ client, timeoutMs, dryRun, print, signal }))) process.exitCode = 1;
  } finally {
    await client.close();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function timeoutOption(): Option {
  return new Option('--timeout <time>', 'how long to wait for the mirrors: 90s, 10m, 1h')
    .argParser(parseTime)
    .default(parseTime(defaultTimeout), defaultTimeout);
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function parseTime(value: string): number {
  const [, amount, unit = ''] = /^(\d{1,6})([smh])$/.exec(value) ?? [];
  const time = Number(amount) * (unitMs[unit] ?? 0);
  if (time > 0) return time;
  throw new InvalidArgumentError('expected a time like 90s, 10m or 1h.');
}
