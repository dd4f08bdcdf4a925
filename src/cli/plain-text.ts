/** Returns text that nodes, pods or upstreams wrote as a terminal may show it: what would steer the terminal is a question mark. Line ends stay. */
export function plainText(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, '?');
}
