import { ServerCredentials, type Server } from '@grpc/grpc-js';

/** Listens on a free port; answers `127.0.0.1:port`. */
export function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(`127.0.0.1:${port}`);
    });
  });
}
