/** What a rule over fields of a RegistryMirror is. Types only. */
import type { RegistryMirrorSpecInput } from './registry-mirror.ts';

/** What a rule may look at. */
export interface RuleSubject {
  readonly metadata: { readonly name: string };
  readonly spec: RegistryMirrorSpecInput;
}

export interface Rule {
  /** Where in the schema the CEL rule stands: the whole object, or its spec. */
  readonly at: 'object' | 'spec';
  /** The field to mend. */
  readonly path: readonly string[];
  /** The fields it looks at; it can be asked only where these are without fault. */
  readonly reads: readonly (readonly string[])[];
  readonly cel: string;
  readonly message: string;
  readonly holds: (mirror: RuleSubject) => boolean;
}
