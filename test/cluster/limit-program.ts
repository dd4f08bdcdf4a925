/** A registry that has had enough, in a place of the cluster. `node limit-program.ts OPTIONS`: JSON of LimitOptions; runs until it is killed. */
import { createServer } from 'node:https';

/** Certificate and key are PEM; `retryAfter` is in seconds. */
export interface LimitOptions {
  readonly address: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  readonly retryAfter: number;
}

const { address, port, retryAfter, ...tls } = JSON.parse(process.argv[2] ?? '') as LimitOptions;
const body = JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message: 'Come back later' }] });
const server = createServer(tls, (request, response) => {
  process.stdout.write(`429 ${request.method} ${request.url} ${request.headers['user-agent'] ?? ''}\n`);
  response
    .writeHead(429, { 'Content-Type': 'application/json', 'Retry-After': String(retryAfter) })
    .end(body);
});
server.listen(port, address, () => process.stdout.write('listening\n'));
