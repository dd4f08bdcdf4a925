/** What `doctor` is asked for, and how it reads and prints the report of a node. */
import type { NodeReport } from '../api/node-report.ts';
import { parseNodeReport } from '../operator/node-reports/parse-report.ts';
import { reportLines } from './doctor-report.ts';
import { plainText } from './plain-text.ts';

export interface DoctorFlags {
  readonly cluster?: true;
  readonly socket: string;
  readonly json?: true;
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

/** One JSON object, or lines for people. */
export function printReport(report: NodeReport, { json }: Pick<DoctorFlags, 'json'>): void {
  const lines = json ? [JSON.stringify(report)] : reportLines(report).map(plainText);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** The text as it is: the reading of it for the operator cuts what is long. Throws `TypeError` for what is no report. */
export function readReport(text: string): NodeReport {
  parseNodeReport(text);
  return JSON.parse(text) as NodeReport;
}
