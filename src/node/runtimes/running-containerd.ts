/** Which containerd makes a node's pods, where several run: k3s beside Docker, a builder's beside the kubelet's. Pure. */
import { addressOf, configFileOf, defaultAddress } from '../containerd/command-line.ts';
import type { FoundProcess } from '../signal.ts';

export interface RunningContainerd {
  readonly process: FoundProcess;
  /** The file that it was started with. */
  readonly configFile: string;
  /** The path of its socket. */
  readonly address: string;
}

export interface NodeWords {
  /** What the kubelet was told; undefined where none runs, or only within another program, as with k3s. */
  readonly kubelet: readonly string[] | undefined;
  /** The text of a file of the host; empty where there is none. */
  readonly text: (path: string) => string;
}

/** The one whose socket the kubelet names. Of a kubelet that names none, the one at the default address; without a kubelet, one that is not there. */
export function containerdOf(
  processes: readonly FoundProcess[],
  { kubelet, text }: NodeWords,
): RunningContainerd | undefined {
  const all = processes.map((process) => runningContainerd(process, text));
  const named = all.find(({ address }) => kubelet?.some((word) => word.includes(address)));
  const isUsual = ({ address }: RunningContainerd) =>
    (address === defaultAddress) === (kubelet !== undefined);
  return named ?? all.find(isUsual) ?? all[0];
}

function runningContainerd(process: FoundProcess, text: NodeWords['text']): RunningContainerd {
  const configFile = configFileOf(process.commandLine);
  return { process, configFile, address: addressOf(process.commandLine, text(configFile)) };
}
