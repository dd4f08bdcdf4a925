/**
 * Passes what comes to a listening socket, which its parent hands it, on to a server of the network it runs in.
 * `node port-program.ts ADDRESS PORT`: tells its parent when it has the socket, runs until it is killed.
 */
import { connect, type Server, type Socket } from 'node:net';

const [host = '', port = ''] = process.argv.slice(2);

process.once('message', (_, handle) => {
  const server = handle as Server;
  server.on('connection', (client: Socket) => {
    const target = connect(Number(port), host);
    client.pipe(target).pipe(client);
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const)
      one.on('error', () => one.destroy()).on('close', () => other.destroy());
  });
  process.send?.('taken');
});
