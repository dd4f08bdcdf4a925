/** `IMAGESWAP_MODE`. */

export type ImageswapMode = 'maps' | 'legacy';

/** Takes the variable's value, of which case does not count; undefined or empty is `maps`. Returns undefined for any other text: imageswap took it for LEGACY. */
export function parseImageswapMode(value: string | undefined): ImageswapMode | undefined {
  const mode = (value || 'maps').toLowerCase();
  return mode === 'maps' || mode === 'legacy' ? mode : undefined;
}
