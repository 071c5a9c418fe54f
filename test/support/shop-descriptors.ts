import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The descriptors of `test/client/shop.proto` with all it imports, as `buf build` writes them. */
export function shopDescriptors(): Uint8Array {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'onceward-protos-'));
  try {
    cpSync(join(root, 'proto'), folder, { recursive: true });
    cpSync(join(root, 'test/client/shop.proto'), join(folder, 'shop/v1/shop.proto'));
    return execFileSync(join(root, 'node_modules/.bin/buf'), ['build', folder, '-o', '-']);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
