/**
 * What becomes of each image, in CEL: `rewriteImage` for the rules in `params.spec.rules`, in one pass over the pod. Each variable is a step for all
 * images, has a cost budget of its own, and is a list of rows of texts. Pure; the main file of the expressions.
 */
import { nodeCriticalPriority, osLabel } from '../../../image/bypass.ts';
import { allOf, anyOf, bind, choose, quoted, raw } from './cel.ts';
import { hostOf, isReference, isShortEnough, nameOf, registryWithSlash } from './reference-cel.ts';
import { neverPulled, rowsOf } from './rows-cel.ts';

const rules = 'params.spec.rules';

/** A named expression of the policy. */
export interface CelVariable {
  readonly name: string;
  readonly expression: string;
}

/** The variables in their order; `changes` is what the mutation writes: rows of path, annotation, image, new image. */
export function decisionVariables(): readonly CelVariable[] {
  return [
    {
      // Whether there are rules for whole texts: most sets have none, and then nothing of that is asked of any image.
      name: 'hasTexts',
      expression: anyOf([
        `size(${rules}.images) > 0`,
        `size(${rules}.patterns) > 0`,
        `${rules}.legacy.form != 'none'`,
      ]),
    },
    { name: 'bypass', expression: bypass() },
    { name: 'neverPulled', expression: neverPulled('object') },
    {
      // By name: what stands in the stored pod. Names are unique there.
      name: 'before',
      expression: `${rowsOf('oldObject')}.transformMapEntry(i, r, {r[1]: r[2]})`,
    },
    {
      name: 'rows',
      expression: `oldObject == null ? ${rowsOf('object')} : ${rowsOf('object')}.filter(r, r[2] != variables.before[?r[1]].orValue(''))`,
    },
    // A fourth text: what rules for whole texts make; empty where there is none, the image itself where one leaves it.
    {
      name: 'matched',
      expression: `!variables.hasTexts ? [] : variables.rows.filter(r, size(r[2]) <= 1024).map(r, [r[0], r[1], r[2], string(${byText('r[2]')})]).filter(r, r[3] != r[2])`,
    },
    {
      name: 'decided',
      expression: `variables.matched.filter(r, r[3] != '' && (${isKnown('r')} || (${isReference('r[3]')})))`,
    },
    {
      name: 'parsed',
      expression: `!${rules}.byName ? [] : ${forNames()}${takenApart()}`,
    },
    { name: 'named', expression: named() },
    {
      name: 'changes',
      expression: `variables.hasTexts ? (variables.decided + variables.named).map(c, [c[0], c[1], c[2], string(${final('c[3]')})]).filter(c, c[3] != c[2]) : variables.named`,
    },
  ];
}

/** ImageMaps, `[EXACT]`, `[REPLACE]`, LEGACY. */
function byText(image: string): string {
  const parent = `${image}.substring(0, ${image}.lastIndexOf('/'))`;
  const lastSegment = `${image}.substring(${image}.lastIndexOf('/') + 1)`;
  const matches = `${image}.startsWith(p.begins) && (p.matches == '' || ${image}.matches(p.matches))`;
  const first = choose(
    [
      ['size(m) == 0', "''"],
      ["m[0].to == ''", image],
    ],
    `m[0].to + '/' + ${lastSegment}`,
  );
  const byPattern = choose(
    [[`${image}.lastIndexOf('/') > 0 && ${parent} in ${rules}.patternTargets`, image]],
    bind(`${rules}.patterns.filter(p, ${matches})`, 'm', first),
  );
  return choose(
    [
      [
        `${image} in ${rules}.images`,
        `(${rules}.images[${image}] == '' ? ${image} : ${rules}.images[${image}])`,
      ],
      [`size(${rules}.patterns) > 0`, `(${byPattern})`],
      [`${rules}.legacy.form == 'none'`, "''"],
      [`${image}.contains(${rules}.legacy.to)`, image],
      [`${rules}.legacy.form == 'glue'`, `${rules}.legacy.to + ${image}`],
    ],
    `${rules}.legacy.to + '/' + ${lastSegment}`,
  );
}

/** What a rule for the very text makes was checked when it was compiled. */
function isKnown(row: string): string {
  return `${row}[2] in ${rules}.images`;
}

/** Images that rules for names are asked for. Glued as a whole one may be no reference, and without its port be one. */
function forNames(): string {
  const glued = `${rules}.legacy.form == 'glue' && !(${isKnown('r')}) && !(${isReference('r[3]')})`;
  const isLeft = allOf([anyOf(["r[3] == ''", glued]), isReference('r[2]')]);
  return `(variables.hasTexts ? variables.matched.filter(r, ${isLeft}) : variables.rows.filter(r, ${isReference('r[2]')}))`;
}

/** Columns of `parsed`, after path, annotation and image. */
const registry = 'p[3]';
const host = 'p[4]';
const path = 'p[5]';
const suffix = 'p[6]';
/** Names in `named`: the key of the registry line, and the rule. */
const key = 'k';
const rule = 'u';

/** Registry (empty where none is written), host (`docker.io` then), path, tag and digest. */
function takenApart(): string {
  const found = `[r[0], r[1], r[2], ${registryWithSlash('r[2]')}, ${nameOf('r[2]')}]`;
  const withoutSlash = "r[3] == '' ? '' : r[3].substring(0, size(r[3]) - 1)";
  const hostOrHub = `r[3] == '' ? 'docker.io' : ${hostOf('r[3]')}`;
  const rest = 'r[4].substring(size(r[3])), r[2].substring(size(r[4]))';
  return `.map(r, ${found}).map(r, [r[0], r[1], r[2], ${withoutSlash}, ${hostOrHub}, ${rest}])`;
}

/** Registry lines, wildcards and default, mirrors, gilly. */
function named(): string {
  const made = choose(
    [
      [`${rule}.form == 'stay'`, "''"],
      [`${rule}.form == 'path'`, `${rule}.to + '/' + ${path} + ${suffix}`],
      [makesReference(), result()],
    ],
    "''",
  );
  return [
    'variables.parsed',
    `.map(p, [p[0], p[1], p[2], string(${bind(lineKey(), key, bind(ruleFor('p[2]'), rule, made))})])`,
    `.filter(p, ${allOf(["p[3] != ''", 'p[3] != p[2]', 'size(p[3]) <= 1024', isShortEnough('p[3]')])})`,
  ].join('');
}

/** Short names have a line of their own; `host:port` is more than `host`. */
function lineKey(): string {
  const isShort = `${registry} == '' && !${path}.contains('/')`;
  return choose(
    [
      [`size(${rules}.registries) == 0`, "''"],
      [`${isShort} && 'docker.io/library' in ${rules}.registries`, "'docker.io/library'"],
      [`${registry} in ${rules}.registries`, registry],
      [`${host} in ${rules}.registries`, host],
    ],
    "''",
  );
}

const stay = "dyn({'form': 'stay', 'to': ''})";
const written = `(${registry} == '' ? 'docker.io' : ${registry})`;
/** Docker Hub under each of its names. */
const meant = `(${registry} in ['', 'index.docker.io', 'registry-1.docker.io'] ? 'docker.io' : ${registry})`;

function ruleFor(image: string): string {
  const line = `${rules}.registries[${key}]`;
  const fallback = `${rules}.default`;
  return choose(
    [
      [`${rules}.legacy.form == 'glue'`, `(${registry} == '' ? ${stay} : ${rules}.legacy)`],
      [isBelow(image, `${rules}.targets`), stay],
      [allOf([`${fallback}.form == 'glue'`, `${fallback}.to.contains('/')`, isMadeByGlue(image)]), stay],
      [`${key} != ''`, `(${image}.startsWith(${line}.begins) ? ${stay} : ${line})`],
      [allOf([`size(${rules}.targets.hosts) > 0`, isOnTargetHost()]), stay],
      [`${rules}.wildcards.exists(w, ${image}.contains(w))`, stay],
      [`${fallback}.form != 'none'`, `(${isMadeByDefault(image)} ? ${stay} : ${fallback})`],
      [isBelow(image, `${rules}.mirrorTargets`), stay],
      [asksMirror(), `${rules}.mirrors[${written}]`],
      [
        anyOf([
          `${rules}.gilly.form == 'none'`,
          `${image}.startsWith(${rules}.gilly.to + '/')`,
          isExcluded(),
        ]),
        stay,
      ],
    ],
    `${rules}.gilly`,
  );
}

/** Whether mirrors leave the pod's images alone: `Bypass`. */
function bypass(): string {
  return anyOf([
    'size(object.spec.?imagePullSecrets.orValue([])) > 0',
    `object.spec.?priorityClassName.orValue('') == ${quoted(nodeCriticalPriority)}`,
    "object.spec.?os.?name.orValue('') == 'windows'",
    `object.spec.?nodeSelector[?${quoted(osLabel)}].orValue('') == 'windows'`,
  ]);
}

function asksMirror(): string {
  return allOf(['!variables.bypass', `${written} in ${rules}.mirrors`, '!(p[1] in variables.neverPulled)']);
}

/** One look-up for each length that such a name has. */
function isBelow(image: string, prefixes: string): string {
  const ends = `size(${image}) > n && ${image}.charAt(n) == '/'`;
  return `${prefixes}.lengths.exists(n, ${ends} && ${image}.substring(0, n) in ${prefixes}.names)`;
}

function isOnTargetHost(): string {
  const hosts = `${rules}.targets.hosts`;
  return `(${registry} in ${hosts} || ${registry} != '' && ${host} + ':' in ${hosts})`;
}

function isMadeByDefault(image: string): string {
  const { to, form } = { to: `${rules}.default.to`, form: `${rules}.default.form` };
  return `(${form} == 'glue' ? ${isMadeByGlue(image)} : ${form} == 'path' && ${image}.startsWith(${to} + '/'))`;
}

/** Glued to a host of any name, so all that begins with the value and has a slash later is taken for made. */
function isMadeByGlue(image: string): string {
  const to = `${rules}.default.to`;
  return `(${image}.startsWith(${to}) && ${image}.substring(size(${to})).indexOf('/') > 0)`;
}

function isExcluded(): string {
  const { registries, ends, parts, matches } = {
    registries: `${rules}.exclusions.registries`,
    ends: `${rules}.exclusions.ends`,
    parts: `${rules}.exclusions.parts`,
    matches: `${rules}.exclusions.matches`,
  };
  return bind(
    meant,
    'g',
    anyOf([
      `g in ${registries}`,
      bind(hostOf('g'), 'h', `h in ${registries} || ${ends}.exists(e, h.endsWith(e))`),
      `${parts}.exists(e, g.contains(e))`,
      `${matches}.exists(e, g.matches(e))`,
    ]),
  );
}

/** Where a host or a registry becomes part of a path: a path has no upper case, no colon and no brackets. */
function makesReference(): string {
  const upperCaseInPath = `${rule}.to.contains('/') && ${host}.matches(${raw('[A-Z]')})`;
  return allOf([
    `${rule}.form != 'glue' || !(${host}.startsWith('[') || ${upperCaseInPath})`,
    `${rule}.form != 'source' || !${registry}.startsWith('[')`,
  ]);
}

function result(): string {
  const between = choose(
    [
      [`${rule}.form == 'glue'`, host],
      [`${rule}.form == 'source'`, `'/' + ${meant}.lowerAscii().replace(':', '_')`],
      [
        `${rule}.form == 'bare' && ${registry} != '' && ${registry} != ${key}`,
        `${registry}.substring(size(${host}))`,
      ],
    ],
    "''",
  );
  const isHubName = `${rule}.form in ['repository', 'source'] && ${meant} == 'docker.io' && !${path}.contains('/')`;
  return `${rule}.to + (${between}) + (${isHubName} ? '/library/' : '/') + ${path} + ${suffix}`;
}

/** What whole-image rules make of it in the end. */
function final(image: string): string {
  return `(${rules}.images[?${image}].orValue('') == '' ? ${image} : ${rules}.images[${image}])`;
}
