/** Compares what a template uses with what its view gives: both as paths such as `servers[].names[]`. */
import Handlebars from 'handlebars';
import { templateSource } from '../../src/cache/render.ts';

type Node = hbs.AST.Node;
/** Where names are looked up: a path from the view's root, what surrounds it, and names a partial was handed. */
interface Scope {
  readonly path: string;
  readonly parent?: Scope;
  readonly aliases: ReadonlyMap<string, string>;
}

/** Every path of the view that `templates/<name>.hbs` and its partials use, sorted. */
export function templatePaths(name: string): string[] {
  const used = new Set<string>();
  visitProgram(Handlebars.parse(templateSource(name)).body, { path: '', aliases: new Map() }, used);
  return [...used].sort();
}

/** Every path a view gives, sorted: leaves, and the lists and objects that hold them. Give each list an item. */
export function viewPaths(view: unknown, path = ''): string[] {
  const own = path === '' ? [] : [path];
  if (Array.isArray(view)) {
    return unique([
      ...own,
      ...view.flatMap((item) => (isObject(item) ? viewPaths(item, `${path}[]`).slice(1) : [`${path}[]`])),
    ]);
  }
  if (!isObject(view)) return own;
  const inner = Object.entries(view).flatMap(([key, value]) =>
    viewPaths(value, path === '' ? key : `${path}.${key}`),
  );
  return path === '' ? unique(inner) : [path, ...unique(inner)];
}

function unique(paths: string[]): string[] {
  return [...new Set(paths)].sort();
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function visitProgram(body: readonly Node[], scope: Scope, used: Set<string>): void {
  for (const node of body) visit(node, scope, used);
}

function visit(node: Node, scope: Scope, used: Set<string>): void {
  if (node.type === 'MustacheStatement') {
    const { path, params } = node as hbs.AST.MustacheStatement;
    for (const expression of params.length > 0 ? params : [path]) use(expression, scope, used);
  } else if (node.type === 'BlockStatement') {
    visitBlock(node as hbs.AST.BlockStatement, scope, used);
  } else if (node.type === 'PartialStatement') {
    visitPartial(node as hbs.AST.PartialStatement, scope, used);
  }
}

function visitBlock(block: hbs.AST.BlockStatement, scope: Scope, used: Set<string>): void {
  const helper = (block.path as hbs.AST.PathExpression).original;
  const target = block.params[0] ? use(block.params[0], scope, used) : undefined;
  const changes = helper === 'each' ? '[]' : helper === 'with' ? '' : undefined;
  const inner =
    changes === undefined || target === undefined
      ? scope
      : { path: `${target}${changes}`, parent: scope, aliases: new Map<string, string>() };
  visitProgram(block.program.body, inner, used);
  if (block.inverse) visitProgram(block.inverse.body, scope, used);
}

function visitPartial(partial: hbs.AST.PartialStatement, scope: Scope, used: Set<string>): void {
  const name = (partial.name as hbs.AST.PathExpression).original;
  const aliases = new Map(scope.aliases);
  for (const { key, value } of partial.hash?.pairs ?? []) aliases.set(key, use(value, scope, used) ?? key);
  const target = partial.params[0] ? use(partial.params[0], scope, used) : undefined;
  const inner = { ...scope, ...(target !== undefined && { path: target }), aliases };
  visitProgram(Handlebars.parse(templateSource(`partials/${name}`)).body, inner, used);
}

/** Notes the path an expression reads and returns it; literals and `@index` read nothing. */
function use(expression: Node, scope: Scope, used: Set<string>): string | undefined {
  if (expression.type !== 'PathExpression') return undefined;
  const { depth, parts, data } = expression as hbs.AST.PathExpression;
  if (data) return undefined;
  let at = scope;
  for (let level = 0; level < depth; level++) at = at.parent ?? at;
  const [head = '', ...rest] = parts as string[];
  const start = at.aliases.get(head) ?? [at.path, head].filter((part) => part !== '').join('.');
  const path = [start, ...rest].join('.').replace(/\.\[/g, '[');
  // What surrounds is handed on as a whole, and read there.
  const isHandedOn = depth > 0 && parts.length === 0;
  if (path !== '' && !isHandedOn) used.add(path);
  return path;
}
