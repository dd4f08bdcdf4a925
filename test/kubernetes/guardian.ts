/** Ends the control plane's processes and removes its folder when the test process dies, however it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';

// Reads "+ PID" and "- PID" lines; the end of its input is the death of the test process (SIGKILL included).
const script = `
pids=
while read -r operation pid; do
  if [ "$operation" = + ]; then pids="$pids $pid"; continue; fi
  rest=
  for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
  pids=$rest
done
for p in $pids; do kill -KILL "-$p"; done
rm -rf -- "$1"
`;

/** A shell of its own session that outlives the test process by as long as cleaning up takes. */
export class Guardian {
  readonly #shell: ChildProcess;
  readonly #input: Socket;

  constructor(folder: string) {
    this.#shell = spawn('sh', ['-c', script, 'guardian', folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    this.#input = this.#shell.stdin as Socket;
    this.#shell.unref();
    this.#input.unref();
  }

  /** Takes the id of a process that leads its own group. */
  watch(pid: number): void {
    this.#input.write(`+ ${pid}\n`);
  }

  /** To be called as soon as the process has ended: its id may then be given to another. */
  forget(pid: number): void {
    if (this.#input.writable) this.#input.write(`- ${pid}\n`);
  }

  /** Ends what is still watched, removes the folder and waits until both are done. */
  async release(): Promise<void> {
    if (this.#shell.exitCode !== null) return;
    this.#shell.ref();
    const ended = once(this.#shell, 'exit');
    this.#input.end();
    await ended;
  }
}
