/** A token server in a place of the cluster. `node token-server-program.ts OPTIONS`: JSON of TokenServerOptions; runs until it is killed. */
import { startTokenServer, type TokenServerOptions } from '../support/token-server.ts';

const { realm } = await startTokenServer(JSON.parse(process.argv[2] ?? '') as TokenServerOptions);
process.stdout.write(`${realm}\n`);
