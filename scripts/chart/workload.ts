/** What values can say of a Deployment of ours: one table of blocks for all of them. Pure. */
import { addBelow, addWithin, replaceBlock } from './yaml-text.ts';

/** Blocks of a Deployment that are a value, with the depth of what stands below them. */
export const workloadBlocks = {
  replicas: '  replicas:',
  nodeSelector: '      nodeSelector:',
  topologySpreadConstraints: '      topologySpreadConstraints:',
  resources: '          resources:',
} as const;

/** Makes a Deployment's blocks values below `.Values.<key>`. */
export function workload(manifest: string, key: string): string {
  const value = (name: string) => `.Values.${key}.${name}`;
  let text = replaceBlock(manifest, workloadBlocks.replicas, () => [
    `  replicas: {{ ${value('replicas')} }}`,
  ]);
  for (const name of ['nodeSelector', 'topologySpreadConstraints', 'resources'] as const)
    text = replaceBlock(text, workloadBlocks[name], ([head = '']) => given(head, value(name)));
  text = addWithin(text, '      labels:', [
    `        {{- with ${value('podLabels')} }}`,
    '        {{- toYaml . | nindent 8 }}',
    '        {{- end }}',
  ]);
  text = addWithin(text, '    metadata:', podAnnotations(value('podAnnotations')));
  text = addBelow(text, '      enableServiceLinks:', [
    ...optional('imagePullSecrets', '.Values.imagePullSecrets'),
    ...optional('tolerations', value('tolerations')),
    ...optional('affinity', value('affinity')),
  ]);
  text = priorityClass(text, value('priorityClassName'));
  text = withVolumes(text, value);
  return addBelow(text, '          image:', ['          imagePullPolicy: {{ .Values.image.pullPolicy }}']);
}

function withVolumes(manifest: string, value: (name: string) => string): string {
  const [mounts, volumes] = ['          volumeMounts:', '      volumes:'];
  const text = withMore(manifest, mounts, value('extraVolumeMounts'), '          securityContext:');
  return withMore(text, volumes, value('extraVolumes'), '      containers:');
}

/** Adds a value to a list of the manifest or, where it has no such list, makes one of it below `last`. */
function withMore(text: string, head: string, value: string, last: string): string {
  const indent = head.slice(0, -head.trimStart().length);
  const [begin, end] = [`${indent}{{- with ${value} }}`, `${indent}{{- end }}`];
  const items = `${indent}  {{- toYaml . | nindent ${indent.length + 2} }}`;
  return text.includes(`\n${head}\n`)
    ? addBelow(text, head, [begin, items, end])
    : addBelow(text, last, [begin, head, items, end]);
}

/** In place of the manifest's, or where it has none. */
function priorityClass(text: string, value: string): string {
  const lines = [`      {{- with ${value} }}`, '      priorityClassName: {{ . }}', '      {{- end }}'];
  return text.includes('\n      priorityClassName:')
    ? replaceBlock(text, '      priorityClassName:', () => lines)
    : addBelow(text, '      enableServiceLinks:', lines);
}

/** A change of the rewriting variables, which are in a ConfigMap, rolls the pods. */
function podAnnotations(value: string): string[] {
  return [
    `      {{- if or ${value} .Values.rewriting.env }}`,
    '      annotations:',
    `        {{- with ${value} }}`,
    '        {{- toYaml . | nindent 8 }}',
    '        {{- end }}',
    '        {{- with .Values.rewriting.env }}',
    '        checksum/rewriting: {{ toYaml . | sha256sum }}',
    '        {{- end }}',
    '      {{- end }}',
  ];
}

function given(head: string, value: string): string[] {
  const depth = head.length - head.trimStart().length + 2;
  return [
    head.slice(0, head.indexOf(':') + 1),
    `${' '.repeat(depth)}{{- toYaml ${value} | nindent ${depth} }}`,
  ];
}

function optional(name: string, value: string): string[] {
  return [
    `      {{- with ${value} }}`,
    `      ${name}:`,
    '        {{- toYaml . | nindent 8 }}',
    '      {{- end }}',
  ];
}
