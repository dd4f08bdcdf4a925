/** A stand-in for a mirror: a real nginx that speaks TLS, demands client certificates as a mirror does, and serves files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

export interface TlsMirror {
  readonly port: number;
  /** Served below `/`. */
  readonly files: string;
  start(): Promise<void>;
  /** To all of its processes. */
  signal(name: NodeJS.Signals): void;
  /** Kills it; the port refuses connections. */
  stop(): Promise<void>;
  /** Takes on certificates that have been replaced. */
  reload(): void;
}

/** `limitRate`: nginx's, for downloads that last. Without a client certificate there is a health check and 403. */
export function makeTlsMirror(
  dir: string,
  port: number,
  tls: { certFile: string; keyFile: string; clientCaFile?: string },
  limitRate = '0',
): TlsMirror {
  const files = join(dir, 'files');
  mkdirSync(files, { recursive: true });
  const confFile = join(dir, 'mirror.conf');
  writeFileSync(confFile, configuration(dir, files, port, tls, limitRate));
  let child: ChildProcess | undefined;
  const signal = (name: NodeJS.Signals) => {
    try {
      if (child?.pid !== undefined) process.kill(-child.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  return {
    port,
    files,
    signal,
    async start() {
      const args = ['--pdeathsig', 'TERM', '--', 'nginx', '-e', 'stderr', '-c', confFile];
      child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'ignore'], detached: true });
      await eventually(() => reachable(port));
    },
    async stop() {
      signal('SIGKILL');
      if (child !== undefined && child.exitCode === null && child.signalCode === null)
        await once(child, 'exit');
    },
    reload: () => void child?.kill('SIGHUP'),
  };
}

function configuration(
  dir: string,
  files: string,
  port: number,
  { certFile, keyFile, clientCaFile }: { certFile: string; keyFile: string; clientCaFile?: string },
  limitRate: string,
): string {
  const temp = (name: string) => `${name}_temp_path ${dir}/${name};`;
  const client =
    clientCaFile === undefined ? '' : `ssl_client_certificate ${clientCaFile}; ssl_verify_client optional;`;
  const demand = clientCaFile === undefined ? '' : 'if ($ssl_client_verify != SUCCESS) { return 403; }';
  return `user root; daemon off; pid ${dir}/mirror.pid; error_log ${dir}/mirror-error.log warn; worker_processes 1;
worker_shutdown_timeout 60s;
events { worker_connections 512; }
http {
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(temp).join(' ')}
  access_log off; sendfile on; keepalive_timeout 20s;
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; ${client}
    location = /health-check { return 200; }
    location = /v2/ { ${demand} return 200; }
    location / { ${demand} root ${files}; limit_rate ${limitRate}; }
  }
}
`;
}

/** Rejects while nobody listens on `port`. */
export async function reachable(port: number, host = '127.0.0.1'): Promise<void> {
  const socket = connect({ port, host });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
