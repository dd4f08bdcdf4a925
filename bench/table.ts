/** Tables of plain text. Pure. */

/** Aligns columns, the first to the left, the others to the right (numbers) or to the left (text); no trailing spaces. */
export function formatTable(
  rows: readonly (readonly string[])[],
  others: 'right' | 'left' = 'right',
): string {
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, column) => Math.max(most[column] ?? 0, cell.length)),
    [],
  );
  const align = (cell: string, column: number) =>
    column === 0 || others === 'left' ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(align).join('  ').trimEnd()).join('\n');
}
