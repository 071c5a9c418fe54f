import {
  fromBinary,
  createFileRegistry,
  getOption,
  hasOption,
  type DescMethod,
  type FileRegistry,
  type Message,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { status } from '@grpc/grpc-js';
import type { OnLapse } from '../core/policy.js';
import { statusCodeOf } from './call-error.js';
import type { GuardOptions } from './operation-spec.js';

/** How one method is made idempotent. Durations are ms. */
export interface MethodPolicy extends GuardOptions {
  /** Leaves the method alone. Default: false; methods declared NO_SIDE_EFFECTS are left alone. */
  readonly skip?: boolean | undefined;
  /**
   * What a call without a key gets: `required`, INVALID_ARGUMENT; `optional`, it runs unguarded; `minted`, a fresh key, told in the
   * trailing metadata. Default: `minted`.
   */
  readonly key?: 'required' | 'optional' | 'minted' | undefined;
  /** How long a call waits while another execution is at it. Default: until shortly before its deadline, at most 5 min. */
  readonly waitMs?: number | undefined;
  /** gRPC codes of errors that are stored and replayed. Default: `finalCodes`. */
  readonly finalCodes?: readonly status[] | undefined;
  /**
   * Request fields left out of the fingerprint: paths of proto field names with dots; a path through a repeated field or a map leaves it
   * out of every element. Needs `descriptors`.
   */
  readonly fingerprintExclude?: readonly string[] | undefined;
  /** To be raised when what goes into the fingerprint changes; 0 to 2147483647. Default 1. */
  readonly fingerprintVersion?: number | undefined;
}

/** Reads a binary FileDescriptorSet, as `buf build` or `protoc --include_imports --descriptor_set_out` write it. */
export function readDescriptors(bytes: Uint8Array): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
}

/** The method's descriptor by its path, `/package.Service/Method`. */
export function methodDescriptor(registry: FileRegistry | undefined, path: string): DescMethod | undefined {
  const [, service = '', name] = path.split('/');
  return registry?.getService(service)?.methods.find((method) => method.name === name);
}

/** What the proto says of a method: its option `(onceward.v1.idempotency)`, else its `idempotency_level`. */
export function declaredPolicy(
  registry: FileRegistry | undefined,
  descriptor: DescMethod | undefined,
  definition: object,
): MethodPolicy {
  const declared = descriptor
    ? declaredInDescriptor(registry, descriptor)
    : 'options' in definition
      ? declaredInLoader(definition.options as LoaderOptions)
      : { withoutEffect: false };
  const policy = policyOf(declared.option);
  // Undefined otherwise: a proto that says nothing leaves it to the service's options.
  return { ...policy, skip: policy.skip === true || declared.withoutEffect ? true : undefined };
}

/** The option as its proto has it, read from either source. */
interface IdempotencyOption {
  readonly skip?: boolean;
  readonly required?: boolean;
  readonly onLapse?: number;
  readonly leaseMs?: number | undefined;
  readonly resultRetentionMs?: number | undefined;
  readonly fingerprintExclude?: readonly string[];
  readonly finalCodes?: readonly number[];
}

interface Declared {
  readonly withoutEffect: boolean;
  readonly option?: IdempotencyOption | undefined;
}

const lapses: readonly (OnLapse | undefined)[] = [undefined, 'RERUN', 'PARK'];

function policyOf(option: IdempotencyOption = {}): MethodPolicy {
  const { skip, required, onLapse = 0, leaseMs, resultRetentionMs, fingerprintExclude, finalCodes } = option;
  return {
    skip,
    key: required === true ? 'required' : undefined,
    onLapse: lapses[onLapse],
    leaseMs,
    resultRetentionMs,
    fingerprintExclude: fingerprintExclude?.length ? fingerprintExclude : undefined,
    finalCodes: finalCodes?.length ? finalCodes.map(statusCodeOf) : undefined,
  };
}

interface WireDuration {
  readonly seconds?: bigint | number | string;
  readonly nanos?: number;
}

function msOf(duration: WireDuration | undefined): number | undefined {
  return duration && Number(duration.seconds ?? 0) * 1000 + (duration.nanos ?? 0) / 1e6;
}

function declaredInDescriptor(registry: FileRegistry | undefined, method: DescMethod): Declared {
  const withoutEffect = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const extension = registry?.getExtension('onceward.v1.idempotency');
  if (extension === undefined || !hasOption(method, extension)) return { withoutEffect };
  const value = getOption(method, extension) as Message &
    Omit<IdempotencyOption, 'leaseMs'> & {
      readonly lease?: WireDuration;
      readonly resultRetention?: {
        readonly kind: { readonly case?: string; readonly value?: WireDuration | boolean };
      };
    };
  const kind = value.resultRetention?.kind;
  const resultRetentionMs = kind?.value === true ? Infinity : msOf(kind?.value || undefined);
  return { withoutEffect, option: { ...value, leaseMs: msOf(value.lease), resultRetentionMs } };
}

/** As @grpc/proto-loader gives options: text names, and a single value where the proto has a list of one. */
interface LoaderOptions {
  readonly idempotency_level?: string;
  readonly '(onceward.v1.idempotency)'?: {
    readonly skip?: boolean;
    readonly required?: boolean;
    readonly on_lapse?: string;
    readonly lease?: WireDuration;
    readonly result_retention?: { readonly duration?: WireDuration; readonly forever?: boolean };
    readonly fingerprint_exclude?: string | readonly string[];
    readonly final_codes?: number | readonly number[];
  };
}

function declaredInLoader(options: LoaderOptions): Declared {
  const withoutEffect = options.idempotency_level === 'NO_SIDE_EFFECTS';
  const given = options['(onceward.v1.idempotency)'];
  if (given === undefined) return { withoutEffect };
  const { on_lapse: onLapse = '', result_retention: retention, ...rest } = given;
  return {
    withoutEffect,
    option: {
      ...rest,
      onLapse: ['ON_LAPSE_UNSPECIFIED', 'ON_LAPSE_RERUN', 'ON_LAPSE_PARK'].indexOf(onLapse),
      leaseMs: msOf(given.lease),
      resultRetentionMs: retention?.forever === true ? Infinity : msOf(retention?.duration),
      fingerprintExclude: [given.fingerprint_exclude ?? []].flat(),
      finalCodes: [given.final_codes ?? []].flat(),
    },
  };
}
