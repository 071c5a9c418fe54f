import type { OptionWord, Place, Word } from './completion-places.js';

export function zshCompletion(places: readonly Place[]): string {
  const deeper = places.flatMap(({ path }) => (path === '' ? [] : [path]));
  const values = places.flatMap(({ path, options }) =>
    options.flatMap(({ word, takes }) =>
      takes === 'nothing' ? [] : [`    '${path} ${word}') ${reply(takes)}; return ;;`],
    ),
  );
  const words = places.map(({ path, commands, values: fixed, options }) => {
    const all: Word[] = [...commands, ...fixed.map((word) => ({ word, description: '' })), ...options];
    return `    '${path}') items=(${all.map(item).join(' ')}) ;;`;
  });
  return `#compdef onceward
_onceward() {
  local at='' word
  local -a items
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at/$word" in
      ${deeper.join('|')}) at="$at/$word" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  _describe onceward items
}
if [[ "\${funcstack[1]}" == _onceward ]]; then _onceward "$@"; else compdef _onceward onceward; fi
`;
}

function reply(takes: Exclude<OptionWord['takes'], 'nothing'>): string {
  if (takes === 'anything') return ':';
  if (takes === 'file') return '_files';
  return `compadd -- ${takes.join(' ')}`;
}

/** The form that _describe reads: name, colon, description. */
function item({ word, description }: Word): string {
  return `'${word}${description === '' ? '' : `:${description}`.replaceAll("'", `'\\''`)}'`;
}
