/** The upstream's nginx configuration: a registry that wants bearer tokens and redirects blobs to a second origin. Pure. */
import { createHash } from 'node:crypto';
import { type PlainNginx, plainNginxConf } from './nginx-conf.ts';
import { mediaTypes, repository, type Store } from './objects.ts';

/** While `dir` holds a file `rate-limited`, the registry answers 429. */
export interface UpstreamPlace extends PlainNginx {
  readonly address: string;
  readonly ports: { readonly registry: number; readonly cdn: number; readonly status: number };
}

/** Secrets of one run: the token the realm gives out, what signs URLs, and until when these are good (s since 1970). */
export interface UpstreamSecrets {
  readonly token: string;
  readonly signing: string;
  readonly expires: number;
}

export const logFiles = { registry: 'registry.log', cdn: 'cdn.log' } as const;
export const rateLimitFile = 'rate-limited';

/** nginx answers everything from memory and files: as the upstream of all contenders it must be no bottleneck. */
export function upstreamConf(place: UpstreamPlace, store: Store, secrets: UpstreamSecrets): string {
  const { address, ports, dir } = place;
  const origin = `https://${address}:${ports.registry}`;
  const redirects = store.blobs.map(({ digest }) => {
    const url = signedUrl(`https://${address}:${ports.cdn}`, `/blobs/${digest}`, secrets);
    return `"/v2/${repository}/blobs/${digest}" "${url}";`;
  });
  const manifests = store.references.map(
    ({ reference, digest }) => `"/v2/${repository}/manifests/${reference}" "${digest}";`,
  );
  return plainNginxConf(
    place,
    `  map_hash_bucket_size 512;
  variables_hash_bucket_size 128;
  log_format counted '$status $body_bytes_sent $request_method $uri';
  map $uri $redirect { default ""; ${redirects.join('\n')} }
  map $uri $manifest { default ""; ${manifests.join('\n')} }
  map $status $challenge {
    default "";
    401 'Bearer realm="${origin}/token",service="bench",scope="repository:${repository}:pull"';
  }
  map $status $retry_after { default ""; 429 60; }
  server {
    listen ${address}:${ports.registry} ssl;
    access_log ${dir}/${logFiles.registry} counted;
    default_type application/json;
    add_header Docker-Distribution-Api-Version registry/2.0 always;
    add_header WWW-Authenticate $challenge always;
    add_header Retry-After $retry_after always;
    add_header Docker-Content-Digest $manifest;
    location = /token {
      return 200 '{"token":"${secrets.token}","access_token":"${secrets.token}","expires_in":3600}';
    }
    location / {
      if (-f ${dir}/${rateLimitFile}) { return 429 '{"errors":[{"code":"TOOMANYREQUESTS"}]}'; }
      if ($http_authorization != "Bearer ${secrets.token}") { return 401 '{"errors":[{"code":"UNAUTHORIZED"}]}'; }
      if ($redirect) { return 307 $redirect; }
      if ($uri = /v2/) { return 200 '{}'; }
      root ${store.dir}/manifests;
      types { }
      default_type ${mediaTypes.manifest};
      try_files /$manifest =404;
    }
  }
  server {
    listen ${address}:${ports.cdn} ssl;
    access_log ${dir}/${logFiles.cdn} counted;
    location /blobs/ {
      secure_link $arg_signature,$arg_expires;
      secure_link_md5 "$secure_link_expires $uri ${secrets.signing}";
      if ($secure_link != 1) { return 403; }
      root ${store.dir};
      types { }
      default_type application/octet-stream;
    }
  }
  server {
    listen ${address}:${ports.status};
    access_log off;
    location = /status { stub_status; }
  }`,
  );
}

/** nginx's secure_link: the MD5 of expiry, path and secret in base64url. */
function signedUrl(origin: string, path: string, { signing, expires }: UpstreamSecrets): string {
  const signature = createHash('md5').update(`${expires} ${path} ${signing}`).digest('base64url');
  return `${origin}${path}?signature=${signature}&expires=${expires}`;
}
