/** The addresses and names of the test's node, for those inside its namespaces and those who look at it from outside. */
import { makeImage } from '../images.ts';

/** Where the world listens; all on the node's own `lo`. */
export const addresses = {
  node: '10.98.0.10',
  /** The Services of the two mirrors. */
  hub: '10.96.0.10',
  own: '10.96.0.11',
  upstream: '10.97.0.10',
  dns: '10.97.0.53',
} as const;

/** Docker Hub and a registry that only this world has, both with TLS on port 443 by names that DNS alone knows. */
export const upstreamNames = ['registry-1.docker.io', 'registry.test', 'auth.registry.test'];
export const authPort = 444;

/** Anybody may pull what begins with `library/`, this user everything. */
export const user = { username: 'node-user', password: 'a-password-of-the-node-user' };

/** In every repository of every upstream, as `:1`; and what those have instead that are not for anybody. */
export const image = makeImage({ tag: '1', seed: 'node-world', layerSizes: [300_000, 500_000] });
export const privateImage = makeImage({ tag: '1', seed: 'node-world private', layerSizes: [200_000] });

/** One request that the upstream was sent. */
export interface Asked {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly agent: string;
  /** False: it was told to show who it is. */
  readonly isServed: boolean;
}
