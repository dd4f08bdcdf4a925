/** The forwarder in a process of its own, as a node agent runs it, so that it can be killed: `node agent.ts FOLDER MIRRORS` (JSON). */
import { Forwarder } from '../../src/node/forwarder/forwarder.ts';
import { createLogger } from '../../src/observe/log.ts';

const [folder = '', mirrors = '[]'] = process.argv.slice(2);
const end = new AbortController();
process.once('SIGTERM', () => end.abort());
const forwarder = new Forwarder({ folder, log: createLogger({ level: 'error' }), drainMs: 0 });
forwarder.update(JSON.parse(mirrors));
await forwarder.run(end.signal);
