/**
 * gRPC codes of a definite answer: a handler that ends with one has decided, and its failure is stored and replayed.
 * Every other code, and every error that carries none, says that something around it failed: the key is free again.
 * UNAUTHENTICATED and PERMISSION_DENIED are among the latter because credentials change.
 */
export const finalCodes: ReadonlySet<number> = new Set([
  3, // INVALID_ARGUMENT
  5, // NOT_FOUND
  6, // ALREADY_EXISTS
  9, // FAILED_PRECONDITION
  11, // OUT_OF_RANGE
  12, // UNIMPLEMENTED
]);
