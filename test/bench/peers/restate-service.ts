/** The service that Restate calls: one trivial handler. Says its port on standard output. */
import { serve, service, type Context } from '@restatedev/restate-sdk';
import { sample } from '../sample.js';

const body = Buffer.from(sample.result.payload ?? []).toString();
const payments = service({
  name: 'payments',
  handlers: {
    // A replay brings back the attempt that was executed.
    charge: (_context: Context, { attempt }: { readonly attempt: number }) =>
      Promise.resolve({ body, attempt }),
  },
});
process.stdout.write(`${await serve({ services: [payments], port: 0, logger: () => undefined })}\n`);
