/** From the mirrors of the file to the configuration of one machine's cache. */
import { hostname, networkInterfaces, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { splitHostPort } from '../api/upstream.ts';
import {
  type CacheConfig,
  type CacheMirror,
  type Certificate,
  type CredentialPlace,
  defaultSliceSizeKiB,
  type EgressProxy,
  type ListenAddress,
} from '../cache/cache-config.ts';
import { cacheMirrorOf } from '../cache/cache-mirror.ts';
import type { Logger } from '../observe/log.ts';
import { givenCertificate, ownCertificate } from './certificates.ts';
import { credentialsOwner, placeCredentials } from './credentials.ts';
import { fitToDisk } from './disk-share.ts';
import type { Folders } from './folders.ts';
import type { MirrorsFile } from './mirrors-file.ts';

/** The command line. */
export interface StandaloneOptions {
  readonly file: string;
  readonly data: string;
  readonly listen: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly upstreamCa?: string;
  /** Of the environment: for upstreams whose mirror names none. */
  readonly egressProxy?: EgressProxy;
  /** Absent: no metrics. */
  readonly metrics?: ListenAddress;
  /** Both or none. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** More workers help no machine whose disk and network are shared by all of them. */
const workers = 2;

/** Puts credentials and certificate in place and returns the cache's configuration. Changes nothing that is in use. */
export async function configure(
  { mirrors, credentials }: MirrorsFile,
  options: StandaloneOptions,
  folders: Folders,
  listen: ListenAddress,
  log: Logger,
): Promise<CacheConfig> {
  const caches: CacheMirror[] = [];
  for (const mirror of mirrors) {
    const place = {
      cacheDir: join(folders.cacheDir, mirror.metadata.name),
      extraNames: [],
      caFiles: options.upstreamCa === undefined ? [] : [resolve(options.upstreamCa)],
      credentials: await placed(credentials, mirror.metadata.name, folders),
      ...(options.egressProxy && { egressProxy: options.egressProxy }),
    };
    caches.push(cacheMirrorOf(mirror, place));
  }
  return {
    mirrors: await fitToDisk(caches, folders.cacheDir, log),
    listen: [listen],
    fallbackListen: [],
    brokerProcesses: 1,
    ...(options.metrics && { metricsListen: options.metrics }),
    certificates: [await certificateFor(caches, options, folders, log)],
    paths: folders,
    accessLog: join(folders.logDir, 'access.log'),
    workerProcesses: workers,
    sliceSizeKiB: defaultSliceSizeKiB,
    // Workers of another user could not open the cache's files after a start as somebody else.
    ...(process.getuid?.() === 0 && { user: userInfo().username }),
  };
}

async function placed(
  all: MirrorsFile['credentials'],
  mirror: string,
  { credentialsDir }: Folders,
): Promise<CredentialPlace[]> {
  const places: CredentialPlace[] = [];
  for (const { prefix, files } of all.get(mirror) ?? []) {
    const owner = credentialsOwner(mirror, prefix);
    places.push({ prefix, dir: await placeCredentials(credentialsDir, owner, files) });
  }
  return places;
}

function certificateFor(
  mirrors: readonly CacheMirror[],
  { tlsCert, tlsKey, listen }: StandaloneOptions,
  folders: Folders,
  log: Logger,
): Promise<Certificate> {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const masquerades = mirrors.map(({ masquerade }) => hostOf(masquerade));
    return givenCertificate(resolve(tlsCert), resolve(tlsKey), masquerades, log);
  }
  return ownCertificate(folders, certificateNames(mirrors, listen), log);
}

/** What our own leaf covers: the mirrors' names and those of this machine. */
function certificateNames(mirrors: readonly CacheMirror[], listen: string): string[] {
  const mirrorNames = mirrors.flatMap(({ masquerade, names }) => [masquerade, ...names]).map(hostOf);
  return [...new Set([...mirrorNames, ...ownNames(listen)])];
}

function hostOf(name: string): string {
  return splitHostPort(name).host.replace(/^\[|\]$/g, '');
}

/** The names of this machine by which clients may come. */
function ownNames(listen: string): string[] {
  const machine = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(hostname()) ? [hostname().toLowerCase()] : [];
  const everywhere = listen === '0.0.0.0' || listen === '::';
  return [...machine, 'localhost', '127.0.0.1', '::1', ...(everywhere ? ownAddresses() : [listen])];
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.filter(({ scopeid }) => !scopeid).map(({ address }) => address),
  );
}
