/** Makes a cluster, or nothing. */
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { freePorts } from '../kubernetes/free-ports.ts';
import { writeAuthorityKey } from './access.ts';
import { Cluster, controlPlaneOf, openCluster } from './cluster.ts';
import { endingFile, readState, starterFile, wholeFile, writeState } from './cluster-state.ts';
import { formatRecord, isThere, readRecord, recordOf } from './process-record.ts';
import { findPrograms, type Programs } from './programs.ts';
import { examineMachine, whatIsLacking } from './requirements.ts';
import { tearDown } from './teardown.ts';

export interface ClusterOptions {
  /** Where everything of it lies; on a file system that overlayfs works on. */
  readonly folder: string;
  /** How many nodes it begins with; two. */
  readonly nodes?: number;
  /** Whether nodes enforce NetworkPolicies; they do not. */
  readonly networkPolicies?: boolean;
  /** Told what is done, for a person. */
  readonly report?: (line: string) => void;
}

/**
 * Makes a cluster whose nodes are Ready and whose DNS answers. What a start or an end before it left in the folder is removed first. Throws,
 * with everything it lacks, on a machine that cannot have one, and where there is a whole one already; whatever it throws, it leaves nothing.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { nodes = 2, networkPolicies = false, report = () => undefined } = options;
  const lacking = whatIsLacking(await examineMachine(options.folder, { networkPolicies }));
  if (lacking !== undefined) throw new Error(lacking);
  const programs = await findPrograms({ networkPolicies });
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const folder = realpathSync(options.folder);
  await makeRoom(folder, report);
  try {
    return await make(folder, programs, nodes, report);
  } catch (error) {
    await tearDown(folder);
    throw error;
  }
}

async function makeRoom(folder: string, report: (line: string) => void): Promise<void> {
  const found = await openCluster(folder);
  await found?.close();
  if (found !== undefined) throw new Error(`There is a cluster in ${folder} already`);
  const starter = readRecord(starterFile(folder));
  if (starter !== undefined && isThere(starter))
    throw new Error(`Process ${starter.pid} is making a cluster in ${folder}`);
  if (readState(folder) === undefined && !existsSync(endingFile(folder))) return;
  report('Removing what an earlier cluster left');
  await tearDown(folder);
}

async function make(
  folder: string,
  programs: Programs,
  nodes: number,
  report: (line: string) => void,
): Promise<Cluster> {
  const [port = 0] = await freePorts(1);
  const cgroup = `/registry-mirror-cluster-${process.pid}-${Date.now().toString(36)}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const self = recordOf(process.pid);
  if (self !== undefined) writeFileSync(starterFile(folder), formatRecord(self));
  writeState(folder, { cgroup, port, programs, nodes: [] });
  const access = await controlPlaneOf(folder, programs).write(port);
  writeAuthorityKey(folder, access.authority);
  const cluster = new Cluster(folder, { cgroup, port, programs, nodes: [] }, access);
  await cluster.begin(nodes, report);
  rmSync(starterFile(folder), { force: true });
  writeFileSync(wholeFile(folder), '');
  return cluster;
}
