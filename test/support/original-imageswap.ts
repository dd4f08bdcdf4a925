/** What imageswap 1.5.3 answers, written after the record of its behaviour: line by line, with its faults. For maps without `[EXACT]` and `[REPLACE]`. */

/** Returns the new image, the image where it is left alone, or `crash`. `map` is in the order of the file, the last of a key counting. */
export function originalSwap(map: ReadonlyMap<string, string>, image: string): string {
  const slash = image.indexOf('/');
  const first = slash < 0 ? image : image.slice(0, slash);
  const named = first.includes('.') && slash > 0 && slash < image.length - 1;
  const registry = named ? first : 'docker.io';
  const host = registry.split(':')[0]!;
  let key = !map.has(registry) && map.has(host) ? host : registry;
  const fallback = map.get('default');
  if (fallback === undefined) return image;
  const wildcards = map.get('noswap_wildcards');
  if (map.has(key) || map.has(`${key}/library`)) {
    if (slash < 0 && map.has(`${key}/library`)) key += '/library';
    const value = map.get(key);
    if (value === undefined) return 'crash';
    if (value === '') return image;
    if (value.endsWith('-')) return value + (named ? '' : `${host}/`) + image.replace(/:.*\//, '/');
    return image.includes(key) ? image.replace(new RegExp(key, 'g'), value) : `${value}/${image}`;
  }
  const items = wildcards === '' ? [] : (wildcards?.split(',') ?? []);
  if (items.some((item) => image.includes(item))) return image;
  if (fallback === '') return image;
  if (fallback.endsWith('-')) return `${fallback}${host}/${image}`;
  return image.includes(key) ? image.replace(new RegExp(registry, 'g'), fallback) : `${fallback}/${image}`;
}
