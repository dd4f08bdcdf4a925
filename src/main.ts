/** Argv to command. A command's code is loaded only when it runs, so that probes and the node agent stay small. */
import { Command } from 'commander';
import { ConfigError } from './config/problems.ts';
import { errorMessage } from './observe/error-message.ts';
import { packageVersion } from './observe/version.ts';

const commands: Record<string, { description: string; load: () => Promise<Command> }> = {
  broker: {
    description: 'answer nginx’s misses; the only thing that talks to upstreams',
    load: async () => (await import('./cli/broker.ts')).brokerCommand(),
  },
  'node-agent': {
    description: 'wire this node to its mirrors, or undo it',
    load: async () => (await import('./cli/node-agent.ts')).nodeAgentCommand(),
  },
  restore: {
    description: 'undo on this node what node agents did, without a cluster',
    load: async () => (await import('./cli/node-agent.ts')).restoreCommand(),
  },
  doctor: {
    description: 'say how a node, or all of them, are wired, and why not',
    load: async () => (await import('./cli/doctor.ts')).doctorCommand(),
  },
  webhook: {
    description: 'rewrite the images of pods when they are made',
    load: async () => (await import('./cli/webhook.ts')).webhookCommand(),
  },
  standalone: {
    description: 'run mirrors on this machine without a cluster',
    load: async () => (await import('./cli/standalone.ts')).standaloneCommand(),
  },
  purge: {
    description: 'remove a repository, a tag or a digest from every replica of a mirror',
    load: async () => (await import('./cli/purge.ts')).purgeCommand(),
  },
  warm: {
    description: 'bring images into every replica of a mirror before anybody pulls them',
    load: async () => (await import('./cli/warm.ts')).warmCommand(),
  },
  uninstall: {
    description: 'delete all mirrors and wait until their nodes are restored',
    load: async () => (await import('./cli/uninstall.ts')).uninstallCommand(),
  },
  render: {
    description: 'print every object a RegistryMirror becomes',
    load: async () => (await import('./cli/render.ts')).renderCommand(),
  },
  rewrite: {
    description: 'print what the rewriting rules make of images',
    load: async () => (await import('./cli/rewrite.ts')).rewriteCommand(),
  },
};

interface OperatorFlags {
  mapCheck?: boolean;
  mapUpdate?: boolean;
}

async function main(argv: readonly string[]): Promise<void> {
  const named = commands[argv[0] ?? ''];
  const command =
    named === undefined ? overview() : (await named.load()).name(`registry-mirror-operator ${argv[0]}`);
  await command.parseAsync(named === undefined ? argv : argv.slice(1), { from: 'user' });
}

/** Without a command name: run the operator, or one of its two flags. The commands are listed for `--help`. */
function overview(): Command {
  const program = new Command('registry-mirror-operator')
    .description('Runs the operator. It is configured by environment variables; see the README.')
    .version(packageVersion())
    .option('--map-update', 'write the imageswap-maps ConfigMap once and exit')
    .option('--map-check', 'exit 0 if the imageswap-maps ConfigMap is as it should be, else 1')
    .allowExcessArguments(false)
    .action(runOperator);
  const list = Object.entries(commands).map(
    ([name, { description }]) => `  ${name.padEnd(12)}${description}`,
  );
  return program.addHelpText('after', `\nCommands (each with --help):\n${list.join('\n')}`);
}

async function runOperator(flags: OperatorFlags): Promise<void> {
  if (flags.mapCheck) return (await import('./cli/imageswap-map.ts')).checkMap();
  if (flags.mapUpdate) return (await import('./cli/imageswap-map.ts')).updateMap();
  return (await import('./cli/operator.ts')).runOperator();
}

/** People's mistakes are shown as they are, without a stack; both kinds end with exit code 1. */
function fail(error: unknown): void {
  const lines = error instanceof ConfigError ? error.problems : [errorMessage(error)];
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = 1;
}

await main(process.argv.slice(2)).catch(fail);
