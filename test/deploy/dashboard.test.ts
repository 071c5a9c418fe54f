import { expect, test } from 'vitest';
import { dashboard } from '../support/deployed.js';

const { panels, templating } = dashboard();
const graphs = panels.filter(({ type }) => type !== 'row');

test('asks four questions', () => {
  const rows = panels.filter(({ type }) => type === 'row').map(({ title }) => title);
  expect(rows).toEqual(['Are we safe?', 'Are we fast?', 'Are we growing?', 'Who misbehaves?']);
});

test.each(graphs)('$title says how to read it, and takes any Prometheus', (panel) => {
  expect(panel.description?.length).toBeGreaterThan(40);
  expect(panel.targets?.length).toBeGreaterThan(0);
  const sources = [panel.datasource, ...(panel.targets ?? []).map(({ datasource }) => datasource)];
  expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set(['${datasource}']));
  expect(templating.list).toContainEqual(expect.objectContaining({ name: 'datasource', type: 'datasource' }));
});

test('panels have ids of their own and do not lie upon each other', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Map<string, string>();
  for (const { title, gridPos } of panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect([title, taken.get(`${x},${y}`)]).toEqual([title, undefined]);
        taken.set(`${x},${y}`, title);
      }
    }
  }
});
