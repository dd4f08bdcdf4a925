/**
 * The one place that knows handlebars: prints a file of `templates/` for a view. Used by `src/cache` and `src/resources`.
 * Templates only loop and print; every value goes through `{{json x}}` (YAML) or `{{nginx x}}` (nginx.conf).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';

const folder = join(import.meta.dirname, '../../templates');

/** What may stand unquoted in nginx.conf: nothing that ends a word, opens a block, a string, a comment or a variable. */
const nginxWord = /^[A-Za-z0-9_./:@[\]+=,-]+$/;

const engine = Handlebars.create();
engine.registerHelper('json', json);
engine.registerHelper('nginx', nginx);

const knownHelpers = { json: true, nginx: true };
const compiled = new Map<string, HandlebarsTemplateDelegate>();

/** Takes a template's file name without `.hbs` and its view; returns the text. Throws on every missing or undefined value. */
export function renderTemplate(name: string, view: object): string {
  let template = compiled.get(name);
  if (!template) {
    const source = readFileSync(join(folder, `${name}.hbs`), 'utf8');
    template = engine.compile(source, { strict: true, noEscape: true, knownHelpers, knownHelpersOnly: true });
    compiled.set(name, template);
  }
  return template(view);
}

/** A value as JSON in ASCII: JSON is YAML, but YAML readers refuse some characters that JSON leaves as they are. */
function json(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('Template printed a value that is undefined');
  return text.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A value as one word of nginx.conf. */
function nginx(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string')
    throw new TypeError('Template printed a value that is no word for nginx.conf');
  if (!nginxWord.test(text)) throw new TypeError(`Not a word for nginx.conf: ${JSON.stringify(text)}`);
  return text;
}
