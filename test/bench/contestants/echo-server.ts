/** The least a gRPC server of Node can do, on the Unix socket it is given. Says its address on standard output. */
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { echoMethod } from './echo-method.js';

const [socket = ''] = process.argv.slice(2);
const server = new Server();
server.addService(
  { echo: echoMethod },
  {
    echo: ({ request }: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) =>
      callback(null, request),
  },
);
const address = `unix:${socket}`;
server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write(`${address}\n`);
});
