/** What the benchmark's own nginx processes have in common. Pure. */

export interface PlainNginx {
  /** Configuration, logs and temporary files. */
  readonly dir: string;
  readonly workerProcesses: number;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A main file around `http`, with TLS and static files as nginx's documentation wants them for speed. */
export function plainNginxConf(
  { dir, workerProcesses, certFile, keyFile }: PlainNginx,
  http: string,
): string {
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
user root;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
worker_processes ${workerProcesses};
events { worker_connections 4096; }
http {
  ${temps.map((name) => `${name}_temp_path ${dir}/temp;`).join('\n  ')}
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  ssl_certificate ${certFile};
  ssl_certificate_key ${keyFile};
  ssl_session_cache shared:tls:10m;
${http}
}
`;
}
