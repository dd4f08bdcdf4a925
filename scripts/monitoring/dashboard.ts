/** The dashboard as Grafana reads it. Pure. */
import { type Panel, type Query, type Row, rows } from './panels.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder
const datasource = { type: 'prometheus', uid: '${datasource}' };
/** Of Grafana's grid, which is 24 wide. */
const size = { w: 8, h: 8 };
const inRow = 24 / size.w;

/** Returns the dashboard's model. */
export function dashboard(): object {
  return {
    uid: 'registry-mirrors',
    title: 'Registry mirrors',
    tags: ['registry', 'mirror'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: variables },
    panels: panelsOf(rows),
  };
}

const variables: readonly object[] = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
  {
    name: 'mirror',
    label: 'Mirror',
    type: 'query',
    datasource,
    query: { query: mirrorQuery(), refId: 'mirror' },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  },
];

/** What can be chosen. Standalone caches have no conditions, so the caches are asked. */
function mirrorQuery(): string {
  return 'label_values(registry_mirror_upstream_state, mirror)';
}

function panelsOf(all: readonly Row[]): object[] {
  let y = 0;
  let id = 0;
  return all.flatMap(({ title, panels }) => {
    const head = {
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
    };
    const placed = panels.map((panel, index) => {
      const gridPos = { x: (index % inRow) * size.w, y: y + Math.floor(index / inRow) * size.h, ...size };
      return { id: ++id, gridPos, ...panelOf(panel) };
    });
    y += Math.ceil(panels.length / inRow) * size.h;
    return [head, ...placed];
  });
}

const types = { lines: 'timeseries', stat: 'stat', table: 'table' } as const;

function panelOf({ title, description, unit, shape, queries }: Panel): object {
  return {
    type: types[shape],
    title,
    description,
    datasource,
    fieldConfig: { defaults: { unit, ...(shape === 'lines' && { min: 0 }) }, overrides: [] },
    options: shape === 'lines' ? { legend: { displayMode: 'list', placement: 'bottom' } } : {},
    ...(shape === 'table' && { transformations }),
    targets: queries.map((query, index) => targetOf(query, index, shape)),
  };
}

/** Rows are series: their labels are the columns, and value and time say nothing. */
const transformations = [
  { id: 'merge', options: {} },
  { id: 'organize', options: { excludeByName: { Time: true, Value: true, 'Value #A': true } } },
];

function targetOf({ expression, legend }: Query, index: number, shape: Panel['shape']): object {
  return {
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    datasource,
    expr: expression,
    legendFormat: legend,
    ...(shape !== 'lines' && { instant: true, range: false }),
    ...(shape === 'table' && { format: 'table' }),
  };
}
