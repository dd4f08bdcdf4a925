/** Media types of manifests (OCI image specification 1.1, Docker image manifest version 2 schema 2). Pure. */

export const manifestTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

/** Types a plain file server gives to JSON it knows nothing about; the manifest itself must then say what it is. */
const genericTypes = new Set([
  '',
  'application/json',
  'application/octet-stream',
  'binary/octet-stream',
  'text/plain',
]);

/** Schema 1 is signed inside its body, so that no digest of it can be checked; no runtime accepts it any more. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/**
 * Takes a declared Content-Type and the manifest's bytes; returns the type to answer with (parameters removed), or
 * undefined when these are not a manifest (a captive portal's page, schema 1, something that is not a JSON object).
 */
export function manifestType(declared: string | undefined, bytes: Uint8Array): string | undefined {
  const type = bareType(declared);
  const manifest = parseObject(bytes);
  if (manifest === undefined) return undefined;
  if (!genericTypes.has(type)) return isManifestType(type) ? type : undefined;
  return inferredType(manifest);
}

/** True for what a registry may call a manifest of any kind, artifacts of newer specifications included. */
export function isManifestType(type: string): boolean {
  return /^application\/[a-z0-9.+_-]+\+json$/.test(type) && !schema1.test(type);
}

/** Returns a Content-Type's media type in lower case without parameters. */
export function bareType(contentType: string | undefined): string {
  return (contentType ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

function inferredType(manifest: Record<string, unknown>): string | undefined {
  const own = manifest['mediaType'];
  if (typeof own === 'string') return Object.values(manifestTypes).find((type) => type === own);
  if (manifest['schemaVersion'] !== 2) return undefined;
  if (Array.isArray(manifest['manifests'])) return manifestTypes.ociIndex;
  return Array.isArray(manifest['layers']) ? manifestTypes.ociManifest : undefined;
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
