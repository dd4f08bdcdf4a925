/**
 * Passes what comes to a listening socket, which its parent hands it, on to a port of the loopback of the network it runs in.
 * `node port-program.ts PORT`: tells its parent when it has the socket, runs until it is killed.
 */
import { connect, type Server, type Socket } from 'node:net';

const port = Number(process.argv[2]);

process.once('message', (_, handle) => {
  const server = handle as Server;
  server.on('connection', (client: Socket) => {
    const target = connect(port, '127.0.0.1');
    client.pipe(target).pipe(client);
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const)
      one.on('error', () => one.destroy()).on('close', () => other.destroy());
  });
  process.send?.('taken');
});
