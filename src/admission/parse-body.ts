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
  let rest = '';
  let [from, position, close] = [0, 0, 0];
  for (;;) {
    const at = body.indexOf(begin, position);
    const first = at + begin.length;
    // Looked for once, however many begin before it: else a body made for that would take hours.
    if (at >= 0 && close >= 0 && close < first) close = body.indexOf(']', first);
    if (at < 0 || close < 0) return from === 0 ? body : rest + body.slice(from);
    position = first;
    if (!body.startsWith(end, close)) continue;
    rest += body.slice(from, first);
    from = close;
    position = close;
  }
}
