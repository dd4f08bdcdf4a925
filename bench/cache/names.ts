/** What the contenders are called in tables and expectations. */

export const names = {
  mirror: 'mirror',
  mirrors: 'mirror x2',
  distribution3: 'distribution 3.1.2',
  distribution2: 'distribution 2.8.2',
  file: 'static file',
} as const;

/** This mirror's own: with one replica, and with two. */
export const own: readonly string[] = [names.mirror, names.mirrors];
