/** The share of the bytes to clients that came from the cache. Pure. */

const clients = 'address=~"plain|fallback"';
/** What was warmed came from the upstream too, but for no client yet. */
const warmed = 'address="local",cache!="hit"';

/**
 * An expression by mirror, from 0 to 1, over a time like `6h`; `labels` choose series. Replicas that warm each other have fetched less than
 * they count as warmed, so that the share is rather too high than too low.
 */
export function shareFromCache(labels: string, range: string): string {
  const rate = (metric: string, ...of: string[]) => {
    const selector = of.filter(Boolean).join(',');
    return `sum by (mirror) (rate(registry_mirror_${metric}${selector && `{${selector}}`}[${range}]))`;
  };
  const fetched = rate('upstream_bytes_total', labels);
  const forClients = `clamp_min(${fetched} - (${rate('response_bytes_total', labels, warmed)} or 0 * ${fetched}), 0)`;
  return `clamp_min(1 - ${forClients} / ${rate('response_bytes_total', labels, clients)}, 0)`;
}
