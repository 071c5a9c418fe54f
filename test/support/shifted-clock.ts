/** Loaded first into a process, sets its wall clock off by ONCEWARD_TEST_CLOCK_SHIFT_MS; its monotonic clock stays. */
const shiftMs = Number(process.env['ONCEWARD_TEST_CLOCK_SHIFT_MS'] ?? 0);
const trueDate = Date;

globalThis.Date = new Proxy(trueDate, {
  construct: (target, args: unknown[]) =>
    Reflect.construct(target, args.length === 0 ? [trueDate.now() + shiftMs] : args) as Date,
  apply: () => new trueDate(trueDate.now() + shiftMs).toString(),
  get: (target, name, receiver): unknown =>
    name === 'now' ? () => trueDate.now() + shiftMs : Reflect.get(target, name, receiver),
});
