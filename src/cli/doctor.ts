/** `doctor`: what the agent of this node, or those of all nodes, say of their wiring. */
import { request } from 'node:http';
import { Command, InvalidArgumentError } from 'commander';
import type { NodeReport } from '../api/node-report.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage } from '../observe/error-message.ts';
import { type DoctorFlags, printReport, readReport } from './doctor-output.ts';
import { isWell } from './doctor-report.ts';

const timeoutMs = 5_000;

/** Returns the command; its exit code is 1 when something that is desired is not in place. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Says which runtimes of a node are wired to which mirror, whether they ask it, and why not.')
    .option('--cluster', 'all nodes, asked through the API server with your own rights')
    .option('--socket <path>', 'of this node’s agent', parseSocket, '/run/registry-mirror/status.sock')
    .option('-n, --namespace <name>', 'with --cluster: of the agents (default: NAMESPACE, else default)')
    .option('--context <name>', 'with --cluster: of the kubeconfig')
    .option('--kubeconfig <file>', 'with --cluster: instead of KUBECONFIG')
    .option('--json', 'one JSON object for each node')
    .allowExcessArguments(false)
    .action(doctor);
}

async function doctor(flags: DoctorFlags): Promise<void> {
  if (flags.cluster) {
    const { doctorCluster } = await import('./doctor-cluster.ts');
    if (!(await doctorCluster(flags))) process.exitCode = 1;
    return;
  }
  const report = await askAgent(flags.socket);
  printReport(report, flags);
  if (!isWell(report)) process.exitCode = 1;
}

/** An empty path is none for Node, which would dial a port. */
function parseSocket(value: string): string {
  if (value === '') throw new InvalidArgumentError('expected the path of a socket.');
  return value;
}

async function askAgent(socketPath: string): Promise<NodeReport> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath, path: '/status', timeout: timeoutMs }, (response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece)).on('error', reject);
    response.on('end', () => {
      const text = Buffer.concat(pieces).toString();
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(text.trim()));
    });
  });
  asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
  asked.on('error', reject).end();
  try {
    return readReport(await promise);
  } catch (error) {
    throw new ConfigError([
      `--socket: expected a node agent at ${socketPath}, got: ${errorMessage(error)}; run this in the agent's container, or with --cluster`,
    ]);
  }
}
