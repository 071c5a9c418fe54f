"""Runs an operation once, over plain gRPC: what a service in a language without an SDK of ours writes."""

import random
import threading
import time
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from onceward.v1 import coordinator_pb2, record_pb2

# The outcome of such a call is unknown, and sending it again is safe.
RESEND = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}


class FinalFailure(Exception):
    """A business failure: it is stored, and everyone who asks for the key gets it back."""

    def __init__(self, code, message):
        super().__init__(message)
        self.status = record_pb2.Status(code=code, message=message)


class NotRun(Exception):
    """Must not be run and can't be replayed: `indeterminate` waits for an operator, `result_expired` was done."""


def once(stub, ref, operation, work, fingerprint=None, lease_s=30.0, patience_s=300.0):
    """The Result of `work(lease)`, from now or from when it was done. Mint the key before, and keep it for the retry."""
    give_up_at = time.monotonic() + patience_s
    while True:
        begin = coordinator_pb2.BeginRequest(
            ref=ref,
            operation=operation,
            fingerprint=fingerprint,
            # One for each try at executing; `send` sends it again with the request.
            attempt_id=str(uuid.uuid4()),
            lease=duration(lease_s),
            wait=duration(max(0, min(20, give_up_at - time.monotonic()))),
        )
        sent_at, answer = send(stub.Begin, begin, give_up_at)
        outcome = answer.WhichOneof("outcome")
        if outcome == "replay":
            return answer.replay.result  # Its status may be a final failure.
        if outcome == "in_progress":
            if time.monotonic() > give_up_at:
                raise TimeoutError("someone else is still running it")
            time.sleep(seconds(answer.in_progress.retry_after))
            continue
        if outcome != "execute":
            raise NotRun(outcome)
        with Lease(stub, ref, answer.execute, sent_at, lease_s) as lease:
            result = execute(stub, ref, lease, work, give_up_at)
        if result is not None:
            return result


def execute(stub, ref, lease, work, give_up_at):
    """Works and stores what came of it; None when another attempt took over, whose result counts."""
    holder = {"ref": ref, "fencing_token": lease.fencing_token}
    failure = None
    try:
        result = work(lease)
        method, request = stub.Complete, coordinator_pb2.CompleteRequest(result=result, **holder)
    except FinalFailure as final:
        result = record_pb2.Result(status=final.status)
        method, request = stub.Fail, coordinator_pb2.FailRequest(kind="KIND_FINAL", status=final.status, **holder)
    except Exception as error:
        failure = error
        status = record_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
        # Frees the key at once, for another attempt with an attempt id of its own.
        method, request = stub.Fail, coordinator_pb2.FailRequest(kind="KIND_RETRYABLE", status=status, **holder)
    try:
        send(method, request, give_up_at)
    except grpc.RpcError as error:
        if reason_of(error) == "LEASE_LOST":
            return None
        if failure is None:
            raise
    if failure is not None:
        raise failure
    return result


def send(method, request, give_up_at):
    """Sends the very same request until it is answered. Also gives the moment the answered one was sent."""
    pause_s = 0.05
    while True:
        sent_at = time.monotonic()
        try:
            return sent_at, method(request, timeout=30)
        except grpc.RpcError as error:
            if error.code() not in RESEND or time.monotonic() > give_up_at:
                raise
            retry = details_of(error).get("RetryInfo")
            time.sleep((seconds(retry.retry_delay) if retry else 0) + random.uniform(0, pause_s))
            pause_s = min(2 * pause_s, 5)


class Lease:
    """Keeps a lease while `work` runs. `work` stops when `lost` is set: someone else may be running it."""

    def __init__(self, stub, ref, grant, sent_at, lease_s):
        self.fencing_token = grant.fencing_token
        self.attempt = grant.attempt
        self.takeover = grant.takeover
        self.checkpoint = grant.checkpoint if grant.HasField("checkpoint") else None
        self.lost = threading.Event()
        self._stub, self._ref, self._lease_s = stub, ref, lease_s
        self._held_until = sent_at + seconds(grant.waited) + seconds(grant.lease)
        self._sequence = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def save(self, checkpoint):
        """How far the work got, for the next attempt if this one does not end it."""
        self._sequence += 1
        self._beat(checkpoint=checkpoint, checkpoint_sequence=self._sequence)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _keep(self):
        while not self._done.wait(max(0, min(self._lease_s / 3, self._left_s()))):
            try:
                self._beat()
            except grpc.RpcError as error:
                if error.code() not in RESEND or self._left_s() <= 0:
                    self.lost.set()
                    return

    def _beat(self, **checkpoint):
        beat = coordinator_pb2.HeartbeatRequest(
            ref=self._ref, fencing_token=self.fencing_token, lease=duration(self._lease_s), **checkpoint
        )
        sent_at = time.monotonic()
        answer = self._stub.Heartbeat(beat, timeout=max(0, self._left_s()))
        self._held_until = max(self._held_until, sent_at + seconds(answer.lease_left))

    def _left_s(self):
        """How long to trust it: a fifth of it less, so that `work` has stopped before it ends."""
        return self._held_until - self._lease_s / 5 - time.monotonic()


def reason_of(error):
    """The coordinator's reason, e.g. LEASE_LOST; None for an error of the transport."""
    info = details_of(error).get("ErrorInfo")
    return info.reason if info and info.domain == "onceward" else None


def details_of(error):
    """The google.rpc messages of an error, by name."""
    trailer = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    found = {}
    for detail in status_pb2.Status.FromString(trailer).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.BadRequest):
            if detail.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(detail.value)
    return found


def duration(length_s):
    message = Duration()
    message.FromMicroseconds(round(length_s * 1_000_000))
    return message


def seconds(message):
    return message.ToMicroseconds() / 1_000_000
