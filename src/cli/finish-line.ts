import type { Command } from 'commander';
import type { KeyOptions } from './client-command.js';

/** A line ready to paste that completes the key: options that were given to begin are given again. */
export function finishLine(key: string, options: KeyOptions, command: Command): (token: bigint) => string {
  const given = (['address', 'namespace', 'scope'] as const).flatMap((name) =>
    // What the environment said, it will say again.
    command.getOptionValueSource(name) === 'cli' ? [`--${name}`, options[name]] : [],
  );
  return (token) => {
    const last = key.startsWith('-') ? ['--', key] : [];
    const first = key.startsWith('-') ? [] : [key];
    return ['onceward', 'complete', ...first, ...given, '--token', `${token}`, ...last].map(quoted).join(' ');
  };
}

/** For a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
