/** A /proc of the test's own. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ProcessTools } from '../../../src/node/signal.ts';

export const uid = process.getuid?.() ?? 0;

export interface Fake {
  readonly comm: string;
  readonly parent?: number;
  readonly state?: string;
  readonly age?: number;
  /** Its process ids, of the host's namespace first, where it is in a container. */
  readonly ids?: readonly (number | string)[];
  /** What its file `cgroup` holds. */
  readonly cgroup?: string;
}

/** A /proc that has been up for 1000 seconds, and who is killed. */
export function fakeProc(t: Pick<ExecutionContext, 'teardown'>, processes: Record<number, Fake>) {
  const procFolder = fs.mkdtempSync(join(tmpdir(), 'proc-'));
  t.teardown(() => fs.rmSync(procFolder, { recursive: true, force: true }));
  fs.writeFileSync(join(procFolder, 'uptime'), '1000.50 3000.00\n');
  fs.mkdirSync(join(procFolder, 'sys'));
  for (const [pid, process] of Object.entries(processes)) {
    const { comm, parent = 1, state = 'S', age = 500, ids = [pid], cgroup } = process;
    fs.mkdirSync(join(procFolder, pid));
    const put = (file: string, text: string) => fs.writeFileSync(join(procFolder, pid, file), text);
    put('comm', `${comm}\n`);
    put('cmdline', `/usr/bin/${comm}\0--flag=a b\0`);
    const fields = [state, parent, ...Array.from({ length: 17 }, () => 0), (1000.5 - age) * 100, 0];
    put('stat', `${pid} (${comm}) ${fields.join(' ')}\n`);
    put('status', `Name:\t${comm}\nNSpid:\t${ids.join('\t')}\nNSsid:\t1\n`);
    if (cgroup !== undefined) put('cgroup', cgroup);
  }
  const killed: number[] = [];
  const kill = (pid: number) => void killed.push(pid);
  return { killed, tools: { files: fs, procFolder, kill, uid } satisfies ProcessTools };
}
