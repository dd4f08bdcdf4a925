/**
 * The one way from a view (typed data) to text: `templates/<name>.hbs` in handlebars' strict mode.
 * Used by `src/cache` and `src/resources`; nothing else may import handlebars.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Handlebars from 'handlebars';

/** The same folder seen from `src/cache` and from `dist/cache`. */
const templates = fileURLToPath(new URL('../../templates', import.meta.url));
const partials = join(templates, 'partials');
const handlebars = createHandlebars();
const compiled = new Map<string, HandlebarsTemplateDelegate>();

/**
 * Renders `templates/<name>.hbs`. Throws when the template uses a value the view does not give, or one that
 * its helper refuses: `json` prints JSON (which is YAML too), `nginx` a word and `path` a quoted path of nginx.conf.
 */
export function renderTemplate(name: string, view: object): string {
  const template = compiled.get(name) ?? compile(name);
  compiled.set(name, template);
  return template(view);
}

/** The text of `templates/<name>.hbs`; for tests that compare the paths a template uses with its view. */
export function templateSource(name: string): string {
  return readFileSync(join(templates, `${name}.hbs`), 'utf8');
}

/** JSON that is also YAML: what YAML takes for a line break or refuses in a double-quoted text is escaped. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('json: the value is undefined');
  return text.replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, escapeUnit);
}

/** One bare word of an nginx configuration, or a part of one. Throws on whatever would end or change it. */
export function nginxWord(value: unknown): string {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value === 'string' && /^[A-Za-z0-9._:/@%+,=*|[\]-]+$/.test(value)) return value;
  throw new TypeError(`nginx: expected a word, got ${JSON.stringify(value)}`);
}

/** A path as one quoted word of an nginx configuration. Inside quotes a dollar starts a variable and cannot be escaped. */
export function nginxPath(value: unknown): string {
  if (typeof value === 'string' && /^[^"'\\$\p{Cc}]+$/u.test(value)) return `"${value}"`;
  throw new TypeError(
    `nginx: expected a path without quotes, backslash and dollar, got ${JSON.stringify(value)}`,
  );
}

function createHandlebars(): typeof Handlebars {
  const instance = Handlebars.create();
  const { each, if: when, unless } = instance.helpers;
  instance.registerHelper('json', (value: unknown) => jsonText(value));
  instance.registerHelper('nginx', (value: unknown) => nginxWord(value));
  instance.registerHelper('path', (value: unknown) => nginxPath(value));
  // Handlebars' own treat a misspelt name as an empty list and as false.
  instance.registerHelper('each', defined(each));
  instance.registerHelper('if', defined(when));
  instance.registerHelper('unless', defined(unless));
  for (const file of partialFiles()) {
    instance.registerPartial(basename(file, '.hbs'), readFileSync(join(partials, file), 'utf8'));
  }
  return instance;
}

function defined(helper: Handlebars.HelperDelegate | undefined): Handlebars.HelperDelegate {
  return function (this: unknown, value: unknown, options: unknown) {
    if (value === undefined) throw new TypeError('template: a block was given undefined');
    return helper?.call(this, value, options);
  };
}

function compile(name: string): HandlebarsTemplateDelegate {
  return handlebars.compile(templateSource(name), {
    strict: true,
    noEscape: true,
    knownHelpersOnly: true,
    knownHelpers: { json: true, nginx: true, path: true },
  });
}

function partialFiles(): string[] {
  try {
    return readdirSync(partials).filter((file) => file.endsWith('.hbs'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
