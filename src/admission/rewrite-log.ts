/**
 * Tells what was rewritten and what was left alone: which objects and which rules, never what else is in a pod. However many pods are made, a
 * namespace has one line a second; at level debug every object has one.
 */
import { type Rule, ruleName } from '../image/settle.ts';
import type { Logger } from '../observe/log.ts';
import { type Admission, isRewritten } from './admit.ts';
import { objectOf, textOf } from './json-value.ts';
import type { AdmissionRequest } from './review.ts';

const everyMs = 1_000;
/** Of one line. */
const mostNames = 8;

/** What was rewritten in a namespace since the last line. */
interface Gathered {
  objects: number;
  images: number;
  readonly names: string[];
  readonly rules: Set<Rule>;
}

export class RewriteLog {
  readonly #logger: Logger;
  readonly #byNamespace = new Map<string, Gathered>();
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(request: AdmissionRequest, admission: Admission): void {
    if (this.#logger.isLevelEnabled('debug')) this.#tell(request, admission);
    if (admission.patch.length > 0 && !request.dryRun) this.#gather(request, admission);
  }

  /** Writes what is gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [namespace, { rules, ...rest }] of this.#byNamespace)
      this.#logger.info({ namespace, ...rest, rules: [...rules].map(ruleName) }, 'Rewrote images');
    this.#byNamespace.clear();
  }

  #gather(request: AdmissionRequest, { decisions }: Admission): void {
    const known = this.#byNamespace.get(request.namespace);
    const gathered = known ?? { objects: 0, images: 0, names: [], rules: new Set() };
    if (known === undefined) this.#byNamespace.set(request.namespace, gathered);
    gathered.objects += 1;
    if (gathered.names.length < mostNames) gathered.names.push(nameOf(request));
    for (const decision of decisions) {
      if (!isRewritten(decision)) continue;
      gathered.images += 1;
      const { rule } = decision.rewrite;
      if (rule !== undefined && gathered.rules.size < mostNames) gathered.rules.add(rule);
    }
    this.#timer ??= setTimeout(() => this.flush(), everyMs);
  }

  #tell(request: AdmissionRequest, { leftAlone, decisions }: Admission): void {
    const { kind, namespace, operation, dryRun } = request;
    const about = { kind: kind.kind, namespace, name: nameOf(request), operation, dryRun };
    if (leftAlone !== undefined) this.#logger.debug({ ...about, ...leftAlone }, 'Left an object alone');
    else this.#logger.debug({ ...about, images: decisions.map(shown) }, 'Decided about images');
  }
}

function nameOf({ kind, object }: AdmissionRequest): string {
  const metadata = objectOf(object?.['metadata']);
  const name = textOf(metadata?.['name']) || `${textOf(metadata?.['generateName'])}*`;
  return kind.kind === 'Pod' ? name : `${kind.kind}/${name}`;
}

/** One image and what was done with it, for people. */
function shown({ rewrite, leftToPods }: Admission['decisions'][number]): string {
  const { image, result, outcome, rule, passedOver } = rewrite;
  const what = leftToPods ? 'left to the pods' : image === result ? outcome : `-> ${result}`;
  const why = rule === undefined ? [] : [`(${ruleName(rule)})`];
  const notes = passedOver.map((each) => `${ruleName(each.rule)}: ${each.reason}`);
  return [image, what, ...why, ...notes].join(' ');
}
