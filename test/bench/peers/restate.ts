/** A caller of a handler through Restate's HTTP ingress, with an idempotency key, over connections kept alive. */
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';

const [port = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
const body = Buffer.from(sample.result.payload ?? []).toString();
let attempts = 0;

takeOrders(async (key) => {
  const attempt = (attempts += 1);
  const call = request({
    agent,
    port,
    host: '127.0.0.1',
    path: '/payments/charge',
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
  });
  call.end(JSON.stringify({ attempt }));
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`Restate answered ${response.statusCode}: ${answer}`);
  const result = JSON.parse(answer) as { readonly body: string; readonly attempt: number };
  if (result.body !== body) throw new Error('another result came back');
  return result.attempt === attempt ? 'executed' : 'replayed';
});
