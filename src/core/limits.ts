/**
 * Every maximum and default of the protocol, with its unit and why it is what it is. The proto comments quote them; a
 * test compares.
 */

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export const limits = {
  /** Characters; a namespace is a name people type and metrics carry. */
  namespaceLength: 63,
  /** Characters; fits a B-tree entry beside namespace and scope with room to spare. */
  scopeLength: 255,
  /** Characters; the width the industry's idempotency keys have settled on. */
  keyLength: 255,
  /** Characters; the longest gRPC method anyone sane has is half of it. */
  operationLength: 255,
  /** Bytes; SHA-512 is the longest digest worth storing per record. */
  fingerprintBytes: 64,
  /** Highest digest version; an int32 on the wire. */
  fingerprintVersion: 2 ** 31 - 1,
  /** Characters; a UUID is 36. */
  attemptIdLength: 64,
  /** Labels are for people who search, not a document store. */
  labelCount: 16,
  labelNameLength: 63,
  /** Bytes. */
  labelValueBytes: 255,

  /** Shortest lease, ms: below it a network round trip eats the lease. */
  leaseMinMs: 100,
  /** Longest lease a namespace may allow, ms: an owner that died holds its key so long. */
  leaseMaxMs: dayMs,
  /** Longest stay of a waiter, ms: load balancers cut idle calls soon after. */
  waitMaxMs: 5 * minuteMs,
  /** Shortest result retention, ms: callers must be able to retry at all. */
  resultRetentionMinMs: secondMs,
  /** Longest retention that is not `forever`, ms: ten years. */
  retentionMaxMs: 3650 * dayMs,
  /** Shortest abandoned retention, ms: within it a takeover is told as one, and a late owner may still finish. */
  abandonedRetentionMinMs: minuteMs,
  /** Highest `max_attempts`. */
  maxAttempts: 1_000_000,
  /** Longest hint of a retryable failure, ms. */
  retryAfterMaxMs: dayMs,

  /** Bytes; what a namespace may allow below the transport's message limit. */
  resultBytes: 3 * 1024 * 1024,
  /** Bytes; a bookmark, not the work itself. */
  checkpointBytes: 64 * 1024,
  /** Characters. */
  contentTypeLength: 255,
  /** Bytes of a status message. */
  statusMessageBytes: 4096,
  /** Bytes of status details, and of all metadata of one result: what HTTP/2 peers accept in trailers. */
  statusDetailsBytes: 16 * 1024,
  metadataBytes: 16 * 1024,
  metadataEntries: 64,
  metadataNameLength: 128,
  metadataValueBytes: 8 * 1024,

  /** Addresses one client is given: more belong behind a name. */
  addresses: 64,
  /** Services a chain of calls may go through by default: beyond it the chain is most likely a loop. */
  hops: 32,

  /** Calls of one Batch or frame: beyond it a batch gains nothing and one caller holds up the rest. */
  callsPerFrame: 1000,
  /** Calls of one Session under way at once; the stream is read no further meanwhile. */
  callsPerSession: 1024,
  /** Bytes of records or answers in one message: below the 4 MiB that gRPC clients accept by default. */
  answerBytes: 3.75 * 1024 * 1024,
  /** Records or audit entries of one page. */
  pageSize: 1000,
  /** Records of one lineage answer. */
  children: 1000,
  /** Bytes of an operator's reason. */
  reasonBytes: 1024,
} as const;

export const defaults = {
  leaseMs: 30 * secondMs,
  maxLeaseMs: hourMs,
  resultRetentionMs: dayMs,
  maxResultRetentionMs: 30 * dayMs,
  tombstoneRetentionMs: 0,
  abandonedRetentionMs: 7 * dayMs,
  maxResultBytes: 1024 * 1024,
  pageSize: 100,
} as const;
