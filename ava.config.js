/** Files that take longest start first, so that none of them is left running alone at the end. */
const longest = [
  'node-idle',
  'operator-crash',
  'node-world',
  'operator-resilience',
  'operator-late-kubelets',
  'operator-leaving-nodes',
  'operator-deletion',
  'versions',
  'uninstall',
  'network-policy',
  'upgrade',
  'changes',
  'renewals',
  'outages',
  'pulls',
  'rewriting',
];

function rank(file) {
  const at = longest.findIndex((name) => file.endsWith(`/${name}.test.ts`));
  return at === -1 ? longest.length : at;
}

export default {
  files: ['test/{unit,integration,timed,e2e}/**/*.test.ts'],
  extensions: { ts: 'module' },
  workerThreads: false,
  concurrency: 2,
  timeout: '3m',
  sortTestFiles: (one, other) => rank(one) - rank(other) || (one < other ? -1 : 1),
};
