/** Circles among rules from image to image. Pure. */

/** Returns every `from` that lies on a circle; takes time in proportion to the number of rules. */
export function circlesOf(rules: ReadonlyMap<string, { readonly to: string }>): ReadonlySet<string> {
  const inCircle = new Set<string>();
  const done = new Set<string>();
  for (const start of rules.keys()) {
    const path = new Map<string, number>();
    let at: string | undefined = start;
    while (at !== undefined && !done.has(at) && !path.has(at)) {
      path.set(at, path.size);
      at = rules.get(at)?.to;
    }
    const entry = path.get(at ?? '');
    for (const [image, position] of path) {
      done.add(image);
      if (entry !== undefined && position >= entry) inCircle.add(image);
    }
  }
  return inCircle;
}
