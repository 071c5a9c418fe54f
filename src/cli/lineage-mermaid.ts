import { instant } from './print.js';
import { refText, stateName } from './print-record.js';
import type { Lineage, LineageNode } from './walk-lineage.js';

/** A flowchart in the language of mermaid. The record asked for has a thick border, what is not known a dashed one. */
export function lineageMermaid({ root, asked, above }: Lineage): string {
  const lines = [
    'flowchart TD',
    '  classDef asked stroke-width:4px',
    '  classDef missing stroke-dasharray:4',
  ];
  let count = 0;
  const draw = (label: readonly string[], parent: string | undefined, style?: string): string => {
    const name = `r${count}`;
    count += 1;
    lines.push(`  ${name}["${label.map(escaped).join('<br/>')}"]${style === undefined ? '' : `:::${style}`}`);
    if (parent !== undefined) lines.push(`  ${parent} --> ${name}`);
    return name;
  };
  const drawTree = (node: LineageNode, parent: string | undefined): string => {
    const style = node === asked ? 'asked' : node.record === undefined ? 'missing' : undefined;
    const name = draw(labelOf(node), parent, style);
    for (const child of node.children) drawTree(child, name);
    if (node.unread !== undefined) draw([`not read: ${node.unread}`], name, 'missing');
    else if (node.childrenOmitted) draw(['more, left out'], name, 'missing');
    return name;
  };
  const top = above === 'omitted' ? draw(['more, left out'], undefined, 'missing') : undefined;
  const rootName = drawTree(root, top);
  if (above === 'loop') {
    lines.push(
      `  ${draw([`called from ${refText(root.record?.parent)}, below`], undefined, 'missing')} --> ${rootName}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function labelOf({ ref, record }: LineageNode): readonly string[] {
  if (record === undefined) return [refText(ref), 'unknown'];
  return [
    refText(ref),
    record.operation,
    `${stateName(record.state)}, attempt ${record.attempt}`,
    `created ${instant(record.createTime)}`,
    ...(record.finishTime === undefined ? [] : [`finished ${instant(record.finishTime)}`]),
  ];
}

/**
 * As character codes, which mermaid shows as they are, whatever a key holds: quotes, markup, its own directives. Also the
 * colon, as text like `style:` would be taken for one.
 */
function escaped(text: string): string {
  // Mermaid decodes before it looks for formulas (`$$`) and icons (`fa:fa-car`): a blank of no width keeps them apart.
  const apart = text.replace(/\$(?=\$)|:(?=fa-)/g, '$&\u200b');
  return apart.replace(/[^A-Za-z0-9 /.,-]/gu, (character) => `#${character.codePointAt(0) ?? 0};`);
}
