/**
 * Parses a review without `managedFields`: nobody here reads them, and they are half of what the API server sends, as hundreds of small objects that take
 * longer to make than all else does. Pure.
 */

/** As the API server writes them: last in the metadata of an object whose `spec` comes next. */
const [begin, end] = [',"managedFields":[', ']},"spec":{'];

/**
 * As `JSON.parse`, but lists of this name may be empty in what it returns.
 *
 * What is left out is found without a look at what is in it. Within a text a quote has a backslash before it, and behind one that ends a text comes no
 * letter: so in JSON both marks are what they seem. There is no `]` between them, so nothing that was open before ends there; and if something
 * begins there that does not end, brackets do not match in the rest, and all of it is parsed.
 */
export function parseBody(body: string): unknown {
  const rest = withoutLists(body);
  if (rest === body) return JSON.parse(body);
  try {
    return JSON.parse(rest);
  } catch {
    return JSON.parse(body);
  }
}

function withoutLists(body: string): string {
  let [rest, from, close] = ['', 0, 0];
  for (let at = body.indexOf(begin); at >= 0; ) {
    const first = at + begin.length;
    // Looked for once, however many begin before it: else a body made for that would take hours.
    if (close < first) close = body.indexOf(']', first);
    if (close < 0) break;
    if (body.startsWith(end, close)) {
      rest += body.slice(from, first);
      from = close;
    }
    at = body.indexOf(begin, Math.max(first, from));
  }
  return rest + body.slice(from);
}
