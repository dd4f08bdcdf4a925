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
  channel.on('message', ({ connection }: ConnectionMessage, socket?: unknown) => {
    if (socket === undefined) return;
    serving.server.emit('connection', socket as Socket);
    say(channel, { taken: connection });
  });
  say(channel, { ready: true });
  return serving;
}

/** A supervisor that is gone hears nothing. */
function say(channel: Channel, message: WorkerMessage): void {
  channel.send?.(message, undefined, undefined, () => {});
}
