/** A registry that the suite is run against: where it is, what it holds, and what it is known to do otherwise. */
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import type { Content } from './content.ts';

export interface Subject {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** PEM of the authority that signed its certificate. */
  readonly ca: string;
  /** Between `/v2` and the repository, for a registry that serves several: `/mirror.example`. */
  readonly prefix?: string;
  readonly content: Content;
  /** Checks that it fails, by their id, each with the reason why that is as it is. */
  readonly deviations: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Question {
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Record<string, string>;
}

/** Asks for a path exactly as it is written. */
export function askPath(subject: Subject, path: string, question: Question = {}): Promise<Answer> {
  const { host, port, ca } = subject;
  const { method = 'GET', headers = {} } = question;
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, ca, path, method, headers, agent: false }, async (response) => {
      const pieces = await response.toArray().catch(reject);
      if (pieces === undefined) return;
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: Buffer.concat(pieces) });
    });
    asked.on('error', reject).end();
  });
}

/** Asks for something of a repository: `manifests/latest`. */
export function ask(
  subject: Subject,
  repository: string,
  rest: string,
  question?: Question,
): Promise<Answer> {
  return askPath(subject, `/v2${subject.prefix ?? ''}/${repository}/${rest}`, question);
}

/** One thing that the specification says. */
export interface Check {
  /** Names it in `deviations`. */
  readonly id: string;
  /** The heading of the specification (1.1) under which it stands, and the endpoint. */
  readonly section: string;
  readonly title: string;
  /** Rejects when the registry does otherwise. */
  run(subject: Subject): Promise<void>;
}
