/** Counts of a test run. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function emptyCounts(): Counts {
  return { passed: 0, failed: 0, skipped: 0 };
}

/** Counts one line of TAP; returns whether a person wants to see it: all but version, plan, summary and blank lines. */
export function countTap(line: string, counts: Counts): boolean {
  const result = /^(ok|not ok) \d+ /.exec(line);
  if (!result) return !/^(TAP version|1\.\.\d+|# (tests|pass|fail|skip)|\s*$)/.test(line);
  if (/ # (SKIP|TODO)\b/.test(line)) counts.skipped += 1;
  else if (result[1] === 'ok') counts.passed += 1;
  else counts.failed += 1;
  return true;
}
