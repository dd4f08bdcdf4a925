/** Talks to etcd through its HTTP gateway, which takes JSON with base64 keys and values. */

/**
 * Compacts everything written so far and returns the revision. A key of our own is written first, so that this revision
 * is greater than any resourceVersion handed out before.
 */
export async function compact(port: number): Promise<number> {
  const key = Buffer.from('/compacted-by-test').toString('base64');
  const { header } = await call<{ header: { revision: string } }>(port, '/v3/kv/put', { key, value: '' });
  await call(port, '/v3/kv/compaction', { revision: header.revision, physical: true });
  return Number(header.revision);
}

/** Writes a JSON value past the API server, whose watch cache hears of it. */
export async function put(port: number, key: string, value: unknown): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  await call(port, '/v3/kv/put', { key: base64(key), value: base64(JSON.stringify(value)) });
}

async function call<T>(port: number, path: string, body: unknown): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
