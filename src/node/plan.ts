/** Puts the mirrors' plans together: what a wiring or a restore has to do on this node now. Pure over what `view` reads. */
import type { Action } from './action.ts';
import type { CaBundle } from './ca-bundle.ts';
import type { NodeFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { type HostView, recordedFiles, viewAfter } from './host-view.ts';
import { markedFiles } from './marked-files.ts';
import { asOneWrite } from './one-write.ts';
import type { MirrorList, NodePlaces, RefusedMirror, WiredMirror } from './options.ts';
import { planMirror, type TargetOfMirror } from './plan-mirror.ts';
import { type OwnedFile, ownersIn, planRestore } from './plan-restore.ts';

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
  /** Whether a mirror that is in no list may be taken back now; absent: it may. */
  readonly mayTakeBack?: ((mirror: string) => boolean) | undefined;
}

/** What left goes first: what it has on the node may stand in the way of what stays. */
export function planWiring(input: WiringInput, before: HostView): Plan {
  const { list, places, facts } = input;
  const left = planUnlisted(input, before);
  let view = viewAfter(before, left.actions);
  const actions: Action[] = [...left.actions];
  const targets: TargetOfMirror[] = [];
  const findings: Finding[] = [...left.findings, ...(list.refused ?? []).map(refusal)];
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

/** Mirrors that have something on the node and are in no list, and those that lead to what is another mirror's port by now. */
function planUnlisted({ list, places, facts, mayTakeBack = () => true }: WiringInput, view: HostView) {
  const listed = new Set([...list.mirrors.map(({ name }) => name), ...(list.others ?? [])]);
  const known = markedFiles(view, facts);
  const former = formerHolders(list.mirrors, known, view);
  const owners = list.whole
    ? [...ownersIn(places.hostsFile, view), ...known.map(({ mirror }) => mirror)]
    : [];
  const left = [...former, ...owners].filter(
    (owner) => !listed.has(owner) && (former.includes(owner) || mayTakeBack(owner)),
  );
  if (left.length === 0) return { actions: [], findings: [] };
  return planRestore({ places, facts, leaves: (mirror) => left.includes(mirror), known }, view);
}

/**
 * Whose files lead to the loopback port of one of `mirrors`. A mirror's port is its alone while it exists, and is given to another one after it:
 * a node that was away then would pull by the name of the first what the second has.
 */
function formerHolders(
  mirrors: readonly WiredMirror[],
  known: readonly OwnedFile[],
  view: HostView,
): string[] {
  const ports = new Set(mirrors.flatMap(({ port }) => port ?? []));
  const leads = (text: string) =>
    [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].some(([, port]) => ports.has(Number(port)));
  const files = known.flatMap(({ path, mirror }) => {
    const state = view.read(path);
    return state.kind === 'file' && leads(state.content.toString('latin1')) ? [mirror] : [];
  });
  const urls = recordedFiles(view, 'docker-daemon').flatMap((record) => Object.entries(record.urls ?? {}));
  return [...files, ...urls.flatMap(([url, mirror]) => (leads(url) ? [mirror] : []))];
}

function refusal({ name, fault }: RefusedMirror): Finding {
  return { reason: 'UnusableMirror', mirror: name, message: `${name} is not wired: ${fault}`, blocks: true };
}

function caFindings(mirror: WiredMirror, bundle: CaBundle | undefined): Finding[] {
  const needed = mirror.certificateNames.length > 0 || mirror.endpoint === 'service';
  if (bundle !== undefined || !needed) return [];
  const message = `No usable CA bundle in ${mirror.caFile}; what lies on the node stays`;
  return [{ reason: 'NoCertificateAuthority', mirror: mirror.name, message, blocks: true }];
}
