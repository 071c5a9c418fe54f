import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type AnyDefinition, type MessageTypeDefinition } from '@grpc/proto-loader';

/**
 * A client made of the .proto files alone, as in a language that shares no code with us: what it reads is what the
 * contract says, not what our own codec agrees with itself about.
 */
export interface ProtoClient {
  /** Calls `Service/Method`; rejects with what `errorOf` reads. */
  call(service: string, method: string, request: object): Promise<Message>;
  close(): void;
}

/** A decoded message: field names as in the proto, 64-bit integers and enums as strings, bytes as Buffers. */
export type Message = Readonly<Record<string, unknown>>;

/** An error as `grpc-status-details-bin` tells it. */
export class ProtoError extends Error {
  constructor(
    readonly code: number,
    override readonly message: string,
    /** The google.rpc.Status of the trailer. */
    readonly status: Message,
    /** Its details by type, e.g. `google.rpc.ErrorInfo`. */
    readonly details: ReadonlyMap<string, Message>,
  ) {
    super(message);
  }
}

const definitions = loadSync(
  [
    'onceward/v1/coordinator.proto',
    'onceward/v1/admin.proto',
    'google/rpc/status.proto',
    'google/rpc/error_details.proto',
  ],
  {
    includeDirs: [fileURLToPath(new URL('../../proto/', import.meta.url))],
    keepCase: true,
    longs: String,
    enums: String,
    oneofs: true,
  },
);

export function protoClient(address: string): ProtoClient {
  const client = new Client(address, credentials.createInsecure());
  return {
    call: (service, method, request) => {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      return new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + 10_000 };
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata(),
          options,
          (error: ServiceError | null, answer?: object) => {
            if (error) reject(protoErrorOf(error));
            else resolve({ ...answer });
          },
        );
      });
    },
    close: () => {
      client.close();
    },
  };
}

/** Decodes bytes as a message of this full name. */
function decode(type: string, bytes: Uint8Array): Message {
  const definition = definitions[type];
  if (definition === undefined || !isMessage(definition)) throw new Error(`no message ${type} in the protos`);
  return { ...definition.deserialize(Buffer.from(bytes)) };
}

function isMessage(definition: AnyDefinition): definition is MessageTypeDefinition<object, object> {
  return 'format' in definition && definition.format === 'Protocol Buffer 3 DescriptorProto';
}

function methodOf(service: string, method: string): MethodDefinition<object, object> {
  const definition = definitions[`onceward.v1.${service}`];
  if (definition === undefined || 'format' in definition)
    throw new Error(`no service ${service} in the protos`);
  const found = definition[method];
  if (found === undefined) throw new Error(`no method ${method} in the protos`);
  return found;
}

function protoErrorOf(error: ServiceError): ProtoError {
  const [trailer] = error.metadata.get('grpc-status-details-bin');
  const status = decode('google.rpc.Status', Buffer.isBuffer(trailer) ? trailer : Buffer.alloc(0));
  const anys = (status['details'] ?? []) as readonly { readonly type_url: string; readonly value: Buffer }[];
  const details = anys.map(({ type_url: url, value }) => {
    const type = url.replace('type.googleapis.com/', '');
    return [type, decode(type, value)] as const;
  });
  return new ProtoError(error.code, error.details, status, new Map(details));
}
