/** Where a cache pod listens. nginx has the first three, the broker the last. Anybody may import it. */

/** TCP ports by the name they have in the pod: `https` for clients without another way, `fallback` for those with one. */
export const ports = { https: 5000, fallback: 5001, peer: 5002, metrics: 9090 } as const;
