/** What the program touches of the world around it, so that tests can drive it inside their own process. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** Whether stdout is a terminal: long payloads are cut for people, never for a pipe. */
  readonly isTTY: boolean;
  /** What the program ends with; see exit-codes. Commands set it for outcomes that scripts branch on. */
  exitCode: number;
}

interface Output {
  write(text: string): unknown;
}

/** The real process. */
export function processIo(): Io {
  const io: Io = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    isTTY: process.stdout.isTTY,
    exitCode: 0,
  };
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      // The reader of a pipe (`| head`) left: it has seen enough, which is no failure.
      if (code === 'EPIPE') process.exit(io.exitCode);
      // Where not even an error can be said, the exit code still tells.
      if (stream === process.stderr) return;
      process.stderr.write(`error: standard output can't be written to: ${message}\n`);
      process.exit(1);
    });
  }
  return io;
}
