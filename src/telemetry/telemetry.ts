import { createNoopMeter, type Tracer } from '@opentelemetry/api';
import { createInstruments, type Instruments } from './instruments.js';

/** What the rooms make spans and metrics with. It is handed to them: two coordinators in one process share nothing. */
export interface Telemetry {
  /** Undefined while no spans are exported: then none are made. */
  readonly tracer: Tracer | undefined;
  readonly instruments: Instruments;
}

/** Measures nothing. */
export const noTelemetry: Telemetry = {
  tracer: undefined,
  instruments: createInstruments(createNoopMeter()),
};
