/** IPv6 addresses (RFC 4291, section 2.2), exactly: as a pattern, because CEL of the oldest API server has no function for it. Pure. */

const group = '[0-9a-f]{1,4}';
const octet = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
/** In the place of the last two groups. */
const ipv4 = `${octet}([.]${octet}){3}`;

/** What stands before `::` and its first colon, by the number of groups. */
const heads = [':', ...[1, 2, 3, 4, 5, 6].map((groups) => `(${group}:){${groups}}`)];

/** Lower case, without brackets and anchors; `::` stands for at least one group of eight. */
export const ipv6Pattern = [
  `(${group}:){7}${group}`,
  `(${group}:){6}${ipv4}`,
  '::',
  `(${group}:){1,7}:`,
  ...heads.map((head, groups) => `${head}(:${group}){1,${7 - groups}}`),
  ...heads.slice(0, 6).map((head, groups) => `${head}:(${group}:){0,${5 - groups}}${ipv4}`),
].join('|');
