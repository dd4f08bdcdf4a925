/** Puts the mirrors' plans together: what a wiring or a restore has to do on this node now. Pure over what `view` reads. */
import type { Action } from './action.ts';
import type { CaBundle } from './ca-bundle.ts';
import type { NodeFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { type HostView, viewAfter } from './host-view.ts';
import { markedFiles } from './marked-files.ts';
import { asOneWrite } from './one-write.ts';
import type { MirrorList, NodePlaces, WiredMirror } from './options.ts';
import { planMirror, type TargetOfMirror } from './plan-mirror.ts';
import { ownersIn, planRestore } from './plan-restore.ts';

export interface Plan {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
  /** Of each mirror, for what is said of it; their findings are among `findings`. */
  readonly targets: readonly TargetOfMirror[];
}

/** What a wiring is planned from. */
export interface WiringInput {
  readonly places: NodePlaces;
  readonly list: MirrorList;
  readonly facts: NodeFacts;
  readonly bundleOf: (mirror: WiredMirror) => CaBundle | undefined;
  readonly answers: (mirror: WiredMirror) => boolean;
  readonly failed: ReadonlySet<string>;
}

/** What left goes first: what it has on the node may stand in the way of what stays. */
export function planWiring(input: WiringInput, before: HostView): Plan {
  const { list, places, facts } = input;
  const left = list.whole ? planUnlisted(list, places, facts, before) : { actions: [], findings: [] };
  let view = viewAfter(before, left.actions);
  const actions: Action[] = [...left.actions];
  const targets: TargetOfMirror[] = [];
  const findings: Finding[] = [...left.findings];
  for (const mirror of list.mirrors) {
    const bundle = input.bundleOf(mirror);
    findings.push(...caFindings(mirror, bundle));
    const { failed } = input;
    const answers = input.answers(mirror);
    const wiring = planMirror(mirror, { places, facts, bundle, answers, failed }, view);
    view = wiring.view;
    targets.push(...wiring.plans);
    actions.push(...wiring.plans.flatMap((plan) => plan.actions));
    findings.push(...wiring.plans.flatMap((plan) => plan.findings));
  }
  return { actions: asOneWrite(actions), findings, targets };
}

/** Mirrors that have something on the node and are in no list. */
function planUnlisted(list: MirrorList, places: NodePlaces, facts: NodeFacts, view: HostView) {
  const listed = new Set([...list.mirrors.map(({ name }) => name), ...(list.others ?? [])]);
  const known = markedFiles(view, facts);
  const owners = [...ownersIn(places.hostsFile, view), ...known.map(({ mirror }) => mirror)];
  const left = owners.filter((owner) => !listed.has(owner));
  if (left.length === 0) return { actions: [], findings: [] };
  return planRestore({ places, facts, leaves: (mirror) => left.includes(mirror), known }, view);
}

function caFindings(mirror: WiredMirror, bundle: CaBundle | undefined): Finding[] {
  const needed = mirror.certificateNames.length > 0 || mirror.endpoint === 'service';
  if (bundle !== undefined || !needed) return [];
  const message = `No usable CA bundle in ${mirror.caFile}; what lies on the node stays`;
  return [{ reason: 'NoCertificateAuthority', mirror: mirror.name, message, blocks: true }];
}
