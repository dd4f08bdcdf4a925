/** What a template uses is exactly what its view holds: no forgotten value, no misspelt one. */
import test from 'ava';
import Handlebars from 'handlebars';
import { templateSource } from '../../../src/cache/render.ts';
import { certificateView } from '../../../src/resources/certificate.ts';
import { daemonSetView } from '../../../src/resources/daemon-set.ts';
import { secretView } from '../../../src/resources/secret.ts';
import { serviceView } from '../../../src/resources/service.ts';
import { statefulSetView } from '../../../src/resources/stateful-set.ts';
import { everyField, everyVariable, mirrorOf, settingsOf } from './fixtures.ts';

const uid = '11111111-2222-3333-4444-555555555555';
const mirror = mirrorOf(everyField, { uid });
const { affinity: _, ...withoutAffinity } = everyField;
const input = { mirror, settings: settingsOf(everyVariable) };
const foreign = { mirror, settings: settingsOf({ HOSTESS_DOCKER_IMAGE: 'other/hostess' }) };
const clusterIPs = ['10.96.7.1'];

/** Views that between them have a value for every optional part. */
const views: Record<string, object[]> = {
  'service.yaml': [serviceView(input, 'name', clusterIPs)],
  'secret.yaml': [secretView(input, 'name', 'Opaque', { file: 'text' })],
  'certificate.yaml': [certificateView(input, clusterIPs)],
  'stateful-set.yaml': [
    statefulSetView(input, { givenCertificate: 'given' }),
    statefulSetView({ ...input, mirror: mirrorOf(withoutAffinity, { uid }) }, {}),
  ],
  'daemon-set.yaml': [
    daemonSetView(foreign, { clusterIPs, mode: 'wire', ownerReferences: true, certificateNames: ['a'] }),
  ],
};

for (const [name, examples] of Object.entries(views)) {
  test(`${name}.hbs uses every value of its view and no other`, (t) => {
    const { printed, asked } = pathsOf(Handlebars.parse(templateSource(name)).body);
    const known = new Set(examples.flatMap((view) => [...pathsIn(view)]));
    const unknown = [...printed, ...asked].filter((path) => !known.has(path));
    t.deepEqual(unknown, [], 'the view has no such value');
    t.deepEqual(
      examples.flatMap((view) => unprinted(view, printed)),
      [],
      'the template does not print it',
    );
  });

  test(`${name}.hbs prints through helpers only`, (t) => {
    t.notRegex(templateSource(name), /\{\{(?!json |#if |\/if\}\}|#each |\/each\}\})/);
  });
}

interface Paths {
  readonly printed: Set<string>;
  readonly asked: Set<string>;
}

/** Walks a template; within `#each list` names belong to `list[]`. */
function pathsOf(
  body: readonly hbs.AST.Statement[],
  prefix = '',
  found: Paths = { printed: new Set(), asked: new Set() },
): Paths {
  for (const statement of body as readonly (hbs.AST.MustacheStatement | hbs.AST.BlockStatement)[]) {
    if (statement.type !== 'MustacheStatement' && statement.type !== 'BlockStatement') continue;
    const [parameter] = statement.params as hbs.AST.PathExpression[];
    const path = prefix + (parameter?.parts ?? []).filter((part) => part !== '0').join('.');
    found[statement.type === 'MustacheStatement' ? 'printed' : 'asked'].add(path);
    if (!('program' in statement)) continue;
    const isLoop = (statement.path as hbs.AST.PathExpression).original === 'each';
    pathsOf(statement.program.body, isLoop ? `${path}[].` : prefix, found);
  }
  return found;
}

/** Every path there is in a view. */
function* pathsIn(value: unknown, path = ''): Generator<string> {
  if (path !== '') yield path;
  if (value === null || typeof value !== 'object') return;
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.map((item) => [`${path}[]`, item])
    : Object.entries(value).map(([key, item]) => [path === '' ? key : `${path}.${key}`, item]);
  for (const [below, item] of entries) yield* pathsIn(item, below);
}

/** The paths of a view that neither a template prints, nor it prints something above them. */
function unprinted(value: unknown, printed: ReadonlySet<string>, path = ''): string[] {
  if (printed.has(path) || value === null) return [];
  if (typeof value !== 'object') return [path];
  if (Array.isArray(value)) return value.flatMap((item) => unprinted(item, printed, `${path}[]`));
  return Object.entries(value).flatMap(([key, item]) =>
    unprinted(item, printed, path === '' ? key : `${path}.${key}`),
  );
}
