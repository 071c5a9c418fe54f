import { fileURLToPath } from 'node:url';
import type { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

/** Lets tools ask the server for its protos; off outside dev, where it would tell strangers what is here. */
export function addReflection(server: Server): void {
  const folder = fileURLToPath(new URL('../../proto/', import.meta.url));
  const files = ['onceward/v1/coordinator.proto', 'onceward/v1/admin.proto'];
  new ReflectionService(loadSync(files, { includeDirs: [folder] })).addToServer(server);
}
