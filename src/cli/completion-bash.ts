import type { Place } from './completion-places.js';

/** Keeps to bash 3.2, which macOS still has. */
export function bashCompletion(places: readonly Place[]): string {
  const deeper = places.flatMap(({ path }) => (path === '' ? [] : [path]));
  const values = places.flatMap(({ path, options }) =>
    options.map(({ word, takes }) => ({ at: `'${path} ${word}'`, takes })),
  );
  const free = values.filter(({ takes }) => takes === 'anything').map(({ at }) => at);
  const files = values.filter(({ takes }) => takes === 'file').map(({ at }) => at);
  const choices = values.flatMap(({ at, takes }) =>
    typeof takes === 'string'
      ? []
      : [`    ${at}) COMPREPLY=($(compgen -W '${takes.join(' ')}' -- "$cur")); return ;;`],
  );
  const words = places.map(({ path, commands, values: fixed, options }) => {
    const all = [...commands, ...options].map(({ word }) => word);
    return `    '${path}') words='${[...fixed, ...all].join(' ')}' ;;`;
  });
  return `# bash completion of onceward
_onceward() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at='' words='' i
  local IFS=$' \\t\\n'
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${deeper.join('|')}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at $prev" in
    ${free.join('|')}) return ;;
    ${files.join('|')}) IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
${choices.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _onceward onceward
`;
}
