/** The addresses of the cluster's world. None of them exists outside of its namespaces. */

/** What joins nodes, control plane and internet: one bridge. */
export const wire = '10.201.0.0/24';
export const controlAddress = '10.201.0.1';
/** The internet's own address on the wire: what is not known elsewhere is sent there, and goes no further. */
export const gatewayAddress = '10.201.0.2';

export const serviceRange = '10.96.0.0/16';
/** Of the Service `kubernetes`: the first of the range. */
export const apiServiceAddress = '10.96.0.1';
export const dnsServiceAddress = '10.96.0.10';
/** Of all pods; each node has a part. */
export const podRange = '10.244.0.0/16';

/**
 * Where the internet's servers are: a range that is public to any program that looks (RFC 6890 has no more use for it) but that nobody
 * has been given since RFC 7526.
 */
export const internetRange = '192.88.99.0/24';
export const internetDns = '192.88.99.53';

export const apiServerPort = 6443;

/** The node's address on the wire; nodes are numbered from 1. */
export function nodeAddress(number: number): string {
  return `10.201.0.${10 + number}`;
}

/** Of the pods on a node. */
export function podSubnet(number: number): string {
  return `10.244.${number}.0/24`;
}

export function nodeName(number: number): string {
  return `node-${number}`;
}
