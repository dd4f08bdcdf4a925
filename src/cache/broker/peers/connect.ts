/** Connections to another replica's nginx: mutual TLS, both sides known by the operator's own authority and one common name. */
import { checkServerIdentity, connect, type PeerCertificate, type SecureContext } from 'node:tls';
import type { buildConnector } from 'undici';
import type { PeersConfig } from './peer-identity.ts';

/** The replica was not there: no connection, or nobody we know at its end. */
export class UnreachableError extends Error {
  constructor(host: string, cause: Error) {
    super(`${host}: no connection (${'code' in cause ? cause.code : cause.message})`, { cause });
    this.name = 'UnreachableError';
  }
}

/** TCP and TLS together, name resolution included. A cluster's network is as fast as this or broken. Milliseconds. */
export const connectMs = 1_000;
/** A connection without a word for so long is asked whether its other end still lives. Milliseconds. */
const keepAliveMs = 5_000;

/** Returns undici's connector for replicas; it fails with `UnreachableError` and nothing else. */
export function peerConnector(
  secureContext: SecureContext,
  { serverName, commonName }: Pick<PeersConfig, 'serverName' | 'commonName'>,
): buildConnector.connector {
  const options = {
    secureContext,
    servername: serverName,
    ALPNProtocols: ['http/1.1'],
    checkServerIdentity: (host: string, certificate: PeerCertificate) =>
      checkServerIdentity(host, certificate) ?? checkCommonName(commonName, certificate),
  };
  return ({ hostname, port }, callback) => {
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = connect({ ...options, host, port: Number(port) });
    const timer = setTimeout(() => socket.destroy(new Error('timed out')), connectMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      callback(new UnreachableError(hostname, error), null);
    };
    socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      callback(null, socket);
    });
  };
}

/** The operator's authority signs others too (mirrors, node agents): the name says who is a replica of this cache. */
function checkCommonName(expected: string, { subject }: PeerCertificate): Error | undefined {
  if (subject?.CN === expected) return undefined;
  return Object.assign(new Error(`expected a certificate of ${expected}`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}
