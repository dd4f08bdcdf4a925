/** A manifest of deploy/ as a template of the chart: what holds for every one of them. Pure. */
import { addWithin, replaceBlock } from './yaml-text.ts';

/** Where a template comes from and what becomes of it. */
export interface TemplateFile {
  /** Path below deploy/. */
  readonly source: string;
  /** Name below templates/. */
  readonly name: string;
  /** A template expression: without it being true the file is empty. */
  readonly when?: string;
  /** A value with labels of these objects, beside those of every one. */
  readonly labels?: string;
  /** Edits of the manifest's text beyond those of every one. */
  readonly edit?: (text: string) => string;
}

/** What manifests call our image. */
const image = /\bregistry-mirror-operator:\d[^\s]*$/gm;

/** Returns the template: namespace, image and labels are the release's, the comments stay. */
export function templateOf(
  { source, when, labels, edit = (text) => text }: TemplateFile,
  manifest: string,
): string {
  const escaped = manifest.replaceAll('{{', '{{ "{{" }}').replace(/^# Generated from .*\n/, '');
  const documents = edit(escaped)
    .split(/^---\n/m)
    .map((document) => labelled(document, labels));
  const text = documents
    .join('---\n')
    .replaceAll(/^( +)namespace: default$/gm, '$1namespace: {{ .Release.Namespace }}')
    .replaceAll(image, '{{ include "registry-mirror-operator.image" . }}');
  const head = `{{- /* Generated from deploy/${source} by \`npm run generate\`. Do not edit. */ -}}\n`;
  if (when === undefined) return head + text;
  return `${head}{{- if ${when} }}\n${text}{{- end }}\n`;
}

function labelled(document: string, further: string | undefined): string {
  const [template, argument] =
    further === undefined ? ['labels', '.'] : ['labelsWith', `(list . ${further})`];
  const line = `    {{- include "registry-mirror-operator.${template}" ${argument} | nindent 4 }}`;
  return /^metadata:\n(?: +.*\n)*? {2}labels:\n/m.test(document)
    ? addWithin(document, '  labels:', [line])
    : replaceBlock(document, 'metadata:', (lines) => [...lines, '  labels:', line]);
}
