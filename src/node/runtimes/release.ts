/** The release in a program's own word for it: `v2.1.4-k3s1` -> `2.1.4-k3s1`, `1.6.20~ds1` -> `1.6.20`. Undefined where there is none. */
export function releaseIn(text = ''): string | undefined {
  return /^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)*)/.exec(text)?.[1];
}
