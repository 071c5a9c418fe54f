#!/usr/bin/env node
import { Command } from 'commander';
import { devCommand } from './cli/dev.js';
import { migrateCommand } from './cli/migrate.js';
import { serveCommand } from './cli/serve.js';

await new Command('onceward')
  .addCommand(devCommand())
  .addCommand(serveCommand())
  .addCommand(migrateCommand())
  .parseAsync();
