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

/** Tells for lines of TAP, one after the other, which of them belong to a test that failed: its result, its log and what it fell over. */
export function failureLines(): (line: string) => boolean {
  let inside = false;
  return (line) => {
    if (/^(ok|not ok) \d+ |^1\.\./.test(line))
      inside = line.startsWith('not ok ') && !/ # (SKIP|TODO)\b/.test(line);
    const part = inside;
    if (line === '  ...') inside = false;
    return part;
  };
}
