/**
 * The images that the Python operator's pods ran, made on the spot under their names: what they do to nodes and volumes is what the originals
 * do, by an nginx with the user of its own image, and by a shell where the original has Python.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { type LocalImage, writeImageArchive } from '../cluster/image-archive.ts';
import { findPrograms } from '../cluster/programs.ts';

export const originalOperatorImage = 'ghcr.io/ocadotechnology/mirror-operator:1';
/** The user that caches of nginx's own image belong to. */
export const originalUser = 101;

/** Makes each of them known on each node. */
export async function importOriginalImages(cluster: Cluster): Promise<void> {
  const { own } = await findPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'original-'));
  try {
    for (const image of originalImages(folder, join(own, 'pause'))) {
      const file = join(folder, 'image.tar');
      writeImageArchive(image, file);
      await cluster.importImage(file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function originalImages(folder: string, pause: string): LocalImage[] {
  const write = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const shell = {
    files: { '/bin/busybox': '/usr/bin/busybox' },
    links: Object.fromEntries(tools.map((name) => [`/bin/${name}`, 'busybox'])),
    entrypoint: ['/bin/sh'],
  };
  const authorities = { '/etc/ssl/certs/ca-certificates.crt': '/etc/ssl/certs/ca-certificates.crt' };
  const empty = write('empty', '');
  return [
    { reference: originalOperatorImage, files: { '/pause': pause }, entrypoint: ['/pause'] },
    { ...shell, reference: 'docker.io/library/busybox:latest' },
    { ...shell, reference: 'docker.io/library/alpine:3.14' },
    {
      ...shell,
      reference: 'docker.io/cloudbees/docker-certificates:1.3',
      files: { ...shell.files, ...authorities },
    },
    {
      ...shell,
      reference: 'ghcr.io/ocadotechnology/mirror-hostess:1.4.0',
      files: { ...shell.files, '/hostess': write('hostess', hostess) },
      entrypoint: ['/bin/sh', '/hostess'],
    },
    {
      ...shell,
      reference: 'docker.io/library/nginx:1.22.1-alpine',
      files: {
        ...shell.files,
        ...withLibraries('/usr/sbin/nginx'),
        '/etc/nginx/nginx.conf': write('nginx.conf', nginxConfiguration),
        '/etc/passwd': write('passwd', `nginx:x:${originalUser}:${originalUser}::/:/bin/false\n`),
        '/etc/group': write('group', `nginx:x:${originalUser}:\n`),
        // Folders that it wants to find.
        '/run/empty': empty,
        '/var/run/empty': empty,
        '/var/log/nginx/empty': empty,
        '/var/lib/nginx/empty': empty,
      },
      entrypoint: ['/usr/sbin/nginx', '-g', 'daemon off;'],
    },
  ];
}

const tools = ['sh', 'cat', 'cp', 'awk', 'sed', 'tr', 'touch', 'sleep', 'test'];

const nginxConfiguration = `
user nginx;
pid /var/run/nginx.pid;
events {}
http { include /etc/nginx/conf.d/*.conf; }
`;

/** A copy of the hosts file at each start, the line at its end, written in place, and taken out when it is told to end. */
const hostess = String.raw`
eval "address=\$$(echo "$SERVICE_NAME" | tr a-z- A-Z_)_SERVICE_HOST"
others() {
  awk -v name="$SHADOW_FQDN" '{ for (at = 2; at <= NF; at++) if ($at == name) next; print }' "$HOSTS_FILE"
}
end() {
  kept=$(others)
  printf '%s\n' "$kept" > "$HOSTS_FILE"
  exit 1
}
cp "$HOSTS_FILE" "$HOSTS_FILE_BACKUP"
touch "$LOCK_FILE"
trap end TERM INT
kept=$(others)
printf '%s\n%s\t%s\n' "$kept" "$address" "$SHADOW_FQDN" > "$HOSTS_FILE"
while :; do sleep 3600 & wait $!; done
`;

/** A program of this machine and what it is linked with, by the same paths. */
function withLibraries(program: string): Record<string, string> {
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(?:=> |^\s)(\/\S+)/gm);
  const paths = [program, ...[...libraries].map(([, path = '']) => path)];
  return Object.fromEntries(paths.map((path) => [path, realpathSync(path)]));
}
