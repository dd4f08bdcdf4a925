/**
 * One mirror as its cache pod runs it: nginx and broker by the pod's own configuration, at a Service's address. A program of its own, inside the node's
 * network, with an /etc of its own as a pod has. `node mirror-program.ts JSON`: prints `ready`, runs until SIGTERM.
 */
import { podCacheConfig } from '../../../src/operator/registry-mirror/cache-view.ts';
import { fallbackPort } from '../../../src/resources/service.ts';
import { mirrorOf, settingsOf } from '../../unit/resources/fixtures.ts';
import { startCache } from '../nginx.ts';

/** What the program is told. */
export interface MirrorProgram {
  readonly name: string;
  readonly spec: Record<string, unknown>;
  /** The Service's. */
  readonly address: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Trusted towards the upstream. */
  readonly upstreamCaFile: string;
}

const told = JSON.parse(process.argv[2] ?? '') as MirrorProgram;
const ends: (() => unknown)[] = [];
const t = { teardown: (end: () => unknown) => void ends.unshift(end) };
process.once('SIGTERM', async () => {
  for (const end of ends) await end();
  process.exit(0);
});
const mirror = mirrorOf(told.spec, { name: told.name });
const facts = { clusterIPs: [told.address] };
const pod = podCacheConfig({ mirror, settings: settingsOf() }, facts);
const mirrors = pod.mirrors.map((each) => ({ ...each, caFiles: [told.upstreamCaFile] }));
const { address, certFile, keyFile } = told;
await startCache(t, mirrors, {
  listen: [{ address, port: 443 }],
  fallbackListen: [{ address, port: fallbackPort(mirror) }],
  certificates: [{ certFile, keyFile, names: [] }],
});
process.stdout.write('ready\n');
