/**
 * The signals that a pass owes: an empty file per process in the agents' state folder, there from before the first file is changed until the signal
 * is sent, so that a crash between the two is made good by the next pass. Changed under the lock only.
 */
import { join } from 'node:path';
import type { SignalledProcess } from './action.ts';
import { type FileCalls, lookAt, removeFile, syncFolder } from './files.ts';

const processes: readonly SignalledProcess[] = ['dockerd', 'crio'];

export class OwedSignals {
  readonly #files: FileCalls;
  readonly #folder: string;

  /** `stateFolder` is the real path of the agents' common folder; it need not exist. */
  constructor(files: FileCalls, stateFolder: string) {
    this.#files = files;
    this.#folder = stateFolder;
  }

  read(): SignalledProcess[] {
    return processes.filter((process) => lookAt(this.#files, this.#marker(process)) !== undefined);
  }

  /** Makes the debt durable. */
  add(process: SignalledProcess): void {
    this.#files.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#files.closeSync(this.#files.openSync(this.#marker(process), 'w', 0o600));
    syncFolder(this.#files, this.#folder);
  }

  settle(process: SignalledProcess): void {
    removeFile(this.#files, this.#marker(process));
  }

  #marker(process: SignalledProcess): string {
    return join(this.#folder, `signal-${process}.owed`);
  }
}
