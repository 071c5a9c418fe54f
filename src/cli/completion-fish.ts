import type { OptionWord, Place } from './completion-places.js';

export function fishCompletion(places: readonly Place[]): string {
  const deeper = places.flatMap(({ path }) => (path === '' ? [] : [path]));
  return `# fish completion of onceward
function __onceward_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    switch "$at/$word"
      case ${deeper.join(' ')}
        set at "$at/$word"
    end
  end
  test "$at" = "$argv[1]"
end
complete -c onceward -f
${places.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, commands, values, options }: Place): string[] {
  const at = `complete -c onceward -n '__onceward_at "${path}"'`;
  return [
    ...commands.map(({ word, description }) => `${at} -a ${word} -d ${quoted(description)}`),
    ...values.map((value) => `${at} -a ${value}`),
    ...options.map(
      ({ word, description, takes }) =>
        `${at} -l ${word.slice(2)}${takesFlags(takes)} -d ${quoted(description)}`,
    ),
  ];
}

function takesFlags(takes: OptionWord['takes']): string {
  if (takes === 'nothing') return '';
  if (takes === 'anything') return ' -x';
  if (takes === 'file') return ' -r -F';
  return ` -x -a ${quoted(takes.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
