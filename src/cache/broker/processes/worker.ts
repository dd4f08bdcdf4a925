/** One broker process as the supervisor started it: nginx's connections come through the channel to it. */
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { createServing, type Serving } from '../socket.ts';
import type { ConnectionMessage, WorkerMessage } from './messages.ts';

/** What a worker has of its process; another one in tests. */
export type Channel = Pick<NodeJS.Process, 'on' | 'off' | 'send'>;

/** Returns the server for connections that come through `channel`, and says that it is ready. */
export function serveSupervised(listener: RequestListener, channel: Channel = process): Serving {
  const serving = createServing(listener);
  const ids = new WeakMap<Socket, number>();
  channel.on('message', (message: ConnectionMessage, socket?: unknown) => {
    if (socket === undefined) return;
    take(message.connection, socket as Socket);
  });
  say(channel, { ready: true });
  return { ...serving, guard };

  function take(id: number, socket: Socket): void {
    ids.set(socket, id);
    socket.once('close', () => say(channel, { closed: id }));
    serving.server.emit('connection', socket);
  }

  async function guard(socket: Socket): Promise<() => void> {
    const slice = ids.get(socket);
    if (slice === undefined) return () => {};
    await say(channel, { slice, over: false });
    return () => void say(channel, { slice, over: true });
  }
}

/** Resolves when the message lies in the channel, where it outlives this process. A supervisor that is gone hears nothing. */
function say(channel: Channel, message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (channel.send === undefined) resolve();
    else channel.send(message, undefined, undefined, () => resolve());
  });
}
