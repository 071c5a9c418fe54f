#!/usr/bin/env node
import { processIo } from './cli/io.js';
import { runProgram } from './cli/program.js';

// Not process.exit: what was written must reach its pipe first.
process.exitCode = await runProgram(process.argv.slice(2), processIo());
