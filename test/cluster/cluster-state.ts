/** What a cluster's folder tells of it. Everything that is made is named here first, or names itself here before it does anything. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './programs.ts';

export interface ClusterState {
  /** Below each hierarchy. */
  readonly cgroup: string;
  /** Of 127.0.0.1, where the API server is reached. */
  readonly port: number;
  readonly programs: Programs;
  /** The numbers of its nodes. */
  readonly nodes: readonly number[];
}

/** Exists as soon as the cluster is to end. */
export const endingFile = (folder: string) => join(folder, 'ending');
/** Exists when the cluster is whole. */
export const wholeFile = (folder: string) => join(folder, 'whole');
/** The record of the process that makes the cluster, as long as it does. */
export const starterFile = (folder: string) => join(folder, 'starter');
/** Each place has a folder in it, where the process that holds it writes its own record. */
export const placesFolder = (folder: string) => join(folder, 'places');

const stateFile = (folder: string) => join(folder, 'cluster.json');

/** Undefined where nothing was made yet. */
export function readState(folder: string): ClusterState | undefined {
  const file = stateFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ClusterState) : undefined;
}

export function writeState(folder: string, state: ClusterState): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${stateFile(folder)}.new`, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(`${stateFile(folder)}.new`, stateFile(folder));
}

/** Whether there is a cluster that was made to its end and is not being removed. */
export function isWhole(folder: string): boolean {
  return existsSync(wholeFile(folder)) && !existsSync(endingFile(folder));
}
