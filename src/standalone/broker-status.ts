/** What a running broker says of itself on its socket. */
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { brokerSocket, type CacheConfig } from '../cache/cache-config.ts';

/** A broker that hangs takes connections and never answers. Milliseconds. */
const answerMs = 2_000;

/** Resolves when the broker knows every mirror of `config`; rejects when `signal` aborts. */
export async function waitForBroker(config: CacheConfig, signal: AbortSignal): Promise<void> {
  const wanted = config.mirrors.map(({ name }) => name);
  for (;;) {
    signal.throwIfAborted();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
    const known = await brokerMirrors(brokerSocket(config.paths), limit).catch((): string[] => []);
    if (wanted.every((name) => known.includes(name))) return;
    await delay(50, undefined, { signal });
  }
}

function brokerMirrors(socketPath: string, signal: AbortSignal): Promise<string[]> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/-/status', agent: false, signal }, (response) => {
      mirrorNames(response).then(resolve, reject);
    }).on('error', reject);
  });
}

async function mirrorNames(response: IncomingMessage): Promise<string[]> {
  const body = Buffer.concat(await response.toArray()).toString();
  const { mirrors } = JSON.parse(body) as { mirrors: { name: string }[] };
  return mirrors.map(({ name }) => name);
}
