/** Starts a program of this folder in a place of the cluster. */
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import type { Place } from './place.ts';

export interface ProgramStart {
  /** Of the daemon. */
  readonly name: string;
  /** Of its file here. */
  readonly file: string;
  /** Its one argument, as JSON. */
  readonly options: object;
  /** A part of what it writes when it serves. */
  readonly says: string;
}

export async function startProgram(place: Place, { name, file, options, says }: ProgramStart): Promise<void> {
  const command = [process.execPath, join(import.meta.dirname, file), JSON.stringify(options)];
  await place.startDaemon(name, { command });
  await eventually(() => {
    if (!place.log(name).includes(says)) throw new Error(place.log(name, 2000));
  });
}
