/** The images that the cluster itself needs, made from the programs that were built and from Debian's busybox. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { LocalImage } from './image-archive.ts';

export const pauseImage = 'cluster.test/pause:1';
export const dnsImage = 'cluster.test/coredns:1';
/** A shell, wget, nslookup, httpd and the like, for pods of tests. */
export const toolsImage = 'cluster.test/busybox:1';

/** `programs` is the folder of `coredns` and `pause`. */
export function ownImages(programs: string): LocalImage[] {
  return [
    { reference: pauseImage, files: { '/pause': join(programs, 'pause') }, entrypoint: ['/pause'] },
    { reference: dnsImage, files: { '/coredns': join(programs, 'coredns') }, entrypoint: ['/coredns'] },
    {
      reference: toolsImage,
      files: { '/bin/busybox': '/usr/bin/busybox' },
      links: Object.fromEntries(applets().map((name) => [`/bin/${name}`, 'busybox'])),
      entrypoint: ['/bin/sh'],
    },
  ];
}

function applets(): string[] {
  const names = execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  return names.filter((name) => name !== 'busybox');
}
