/**
 * Pages of a list. Where the next one is, is the upstream's word, opaque to us (RFC 8288, distribution specification "Listing Tags"): what is more
 * than the specification's own parameters goes to the client and back in one parameter of ours. Pure.
 */
import { UpstreamError } from '../../registry/upstream-error.ts';

const pageParameter = 'page';

/** What nginx lets through (`$list_page` in templates/default.conf.hbs), as it is encoded. */
const longestPage = 4096;

/** A whole query with its `?`, by which it is told from what others call a page. */
const pageShape = /^[?][!$-;=?-~]+$/;

/** Takes a client's query and returns the one the upstream is asked with, its `?` included, or nothing; `ns` is between the client and us. */
export function upstreamQuery(query: URLSearchParams): string {
  const page = query.get(pageParameter) ?? '';
  if (pageShape.test(page)) return page;
  const specified = specifiedBy(query);
  return specified.size === 0 ? '' : `?${specified}`;
}

/** Takes the upstream's `Link` headers and returns the query by which clients ask us for the next page. Throws `UpstreamError` for one too long. */
export function nextPage(
  links: string | readonly string[] | undefined,
  host: string,
): URLSearchParams | undefined {
  const target = nextTarget([links ?? []].flat().join(', '));
  if (target === undefined || !URL.canParse(target, 'http://upstream/')) return undefined;
  const { search, searchParams } = new URL(target, 'http://upstream/');
  const specified = specifiedBy(searchParams);
  if (specified.size === searchParams.size) return specified;
  const page = new URLSearchParams({ [pageParameter]: search });
  if (page.toString().length <= longestPage) return page;
  throw new UpstreamError(
    'answer',
    `${host}: expected a link of at most ${longestPage} bytes to the next page`,
  );
}

/** What the distribution specification defines, as far as it is text: the rest of a percent-encoding would be lost. */
function specifiedBy(query: URLSearchParams): URLSearchParams {
  const passed = ['n', 'last', 'artifactType'].flatMap((name) => {
    const value = query.get(name) ?? '';
    return value === '' || value.includes('\ufffd') ? [] : [[name, value]];
  });
  return new URLSearchParams(passed);
}

const link = /<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g;
const relation = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))/i;
const quoted = /(=\s*)"((?:[^"\\]|\\.)*)"/g;

/** The target of the first link with the relation `next`; a link may have several, of which the first `rel` tells. */
function nextTarget(links: string): string | undefined {
  for (const [, target, parameters = ''] of links.matchAll(link)) {
    const bare = parameters.replace(quoted, (_, equals, text) => `${equals}"${text.replace(/[;=]/g, '')}"`);
    const [, first, second = ''] = relation.exec(bare) ?? [];
    if ((first ?? second).toLowerCase().split(/\s+/).includes('next')) return target;
  }
  return undefined;
}
