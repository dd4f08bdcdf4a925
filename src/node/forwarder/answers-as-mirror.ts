import { get } from 'node:http';

const withinMs = 1000;

/** True where a forwarder of some agent listens on a port of the loopback: a mirror's nginx tells which configuration it has. Never rejects. */
export function answersAsMirror(port: number): Promise<boolean> {
  const options = { host: '127.0.0.1', port, path: '/health-check', agent: false };
  return new Promise((resolve) => {
    const asked = get({ ...options, signal: AbortSignal.timeout(withinMs) }, ({ statusCode, headers }) => {
      resolve(statusCode === 200 && /^[0-9a-f]{16}$/.test(String(headers['x-config-generation'])));
      asked.destroy();
    });
    asked.on('error', () => resolve(false));
  });
}
