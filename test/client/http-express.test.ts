import express from 'express';
import { describe, expect, test } from 'vitest';
import { idempotentMiddleware } from '../../src/client/http-middleware.js';
import { refOf } from '../support/calls.js';
import { isReplay, newHttpKey, order } from '../support/http-requests.js';
import { listen } from '../support/http-servers.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

describe('in express', () => {
  test('a router that is mounted below a path, and forms', async () => {
    const app = express();
    const router = express.Router();
    router.use(idempotentMiddleware(used.onceward), express.urlencoded());
    router.post('/orders', (request, response) => response.json(request.body));
    app.use('/shop', router);
    const url = await listen(app);
    const key = newHttpKey();
    const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' }, path: '/shop/orders' };
    expect(await (await order(url, key, 'a=1&b=2', form)).json()).toEqual({ a: '1', b: '2' });
    expect(isReplay(await order(url, key, 'a=1&b=2', form))).toBe(true);
    expect((await used.onceward.calls.lookup({ ref: refOf(key) })).operation).toBe('POST:/shop/orders');
  });

  test('a body parser that keeps the raw body', async () => {
    const app = express();
    const verify = (request: object, _: unknown, bytes: Buffer) => Object.assign(request, { rawBody: bytes });
    app.use(express.text({ type: '*/*', verify }), idempotentMiddleware(used.onceward));
    app.post('/orders', (request, response) => response.send(request.body));
    const url = await listen(app);
    const key = newHttpKey();
    expect(await (await order(url, key, '{"a":1,"b":2}')).text()).toBe('{"a":1,"b":2}');
    expect(isReplay(await order(url, key, '{"b":2,"a":1}'))).toBe(true);
    expect((await order(url, key, '{"b":2,"a":2}')).status).toBe(422);
  });

  test('what the service itself does wrongly goes to its error handler', async () => {
    const app = express().set('env', 'test');
    const told: unknown[] = [];
    app.use((request, _, next) => {
      request.resume().once('end', next);
    });
    app.use(idempotentMiddleware(used.onceward));
    app.post('/orders', (_, response) => response.end('ran'));
    const tell: express.ErrorRequestHandler = (error, _, response, next) => {
      told.push(error);
      response.status(500).end('told');
      return next;
    };
    app.use(tell);
    const response = await order(await listen(app), newHttpKey());
    expect([response.status, await response.text()]).toEqual([500, 'told']);
    expect(told).toMatchObject([{ message: expect.stringMatching('the body was read before') as string }]);
  });
});

test('a handler that takes no error is not run for one', async () => {
  const thrown: unknown[] = [];
  const guarded = idempotentMiddleware(used.onceward, { scopeOf: () => 'ü' });
  const url = await listen((request, response) => {
    guarded(request, response, () => response.end('ran')).catch((error: unknown) => {
      thrown.push(error);
      response.end('refused');
    });
  });
  expect(await (await order(url, newHttpKey())).text()).toBe('refused');
  expect(thrown).toHaveLength(1);
});
