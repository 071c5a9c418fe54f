/** One unary call that does nothing at either end: what gRPC alone costs. Half of its rate is the most two calls a cycle can reach. */
import { Client, credentials } from '@grpc/grpc-js';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';
import { echoMethod } from './echo-method.js';

const [address = ''] = process.argv.slice(2);
const client = new Client(address, credentials.createInsecure());
const { path, requestSerialize, responseDeserialize } = echoMethod;
const payload = Buffer.from(sample.result.payload ?? []);

takeOrders(
  () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, payload, (error) =>
        error === null ? resolve('executed') : reject(error),
      );
    }),
);
