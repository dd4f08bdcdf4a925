/** Lists of large objects, of which little is kept. */
import type { KubeClient, ListOptions } from './client.ts';
import type { KubeObject } from './object.ts';
import type { ResourceType } from './resource-type.ts';

/** Objects in a page. */
export const pageSize = 500;

/** Yields the objects page by page, so that nobody holds all of them. `first`: what the first request says beside. Throws what the client throws. */
export async function* pagesOf<T extends KubeObject = KubeObject>(
  client: Pick<KubeClient, 'list'>,
  type: ResourceType,
  options: ListOptions,
  first: ListOptions = {},
): AsyncGenerator<readonly T[], void> {
  let page = await client.list<T>(type, { ...options, ...first, limit: pageSize });
  yield page.items;
  while (page.continue !== undefined) {
    page = await client.list<T>(type, { ...options, limit: pageSize, continue: page.continue });
    yield page.items;
  }
}
