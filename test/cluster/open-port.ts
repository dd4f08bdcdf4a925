/** A port of the machine's loopback that leads to a server in a place of the cluster. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Place } from './place.ts';

/**
 * Listens on `port` of 127.0.0.1 on behalf of a process in the place's network: a socket stays in the network in which it was made, whoever
 * has it later. That process is one of the place and ends with it.
 */
export async function openPort(
  port: number,
  place: Place,
  target: { address: string; port: number },
): Promise<void> {
  const server = createServer();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  const init = String(await place.init());
  const log = openSync(place.logFile('port'), 'a');
  const file = join(import.meta.dirname, 'port-program.ts');
  const program = [process.execPath, file, target.address, String(target.port)];
  const child = spawn('nsenter', ['--target', init, '--net', '--pid', '--', ...program], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { PATH: process.env['PATH'] },
  });
  closeSync(log);
  const taken = once(child, 'message');
  child.send('listen', server);
  await taken;
  child.disconnect();
  child.unref();
  server.close();
}
