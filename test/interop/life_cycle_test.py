"""The life cycle of a key, call by call, from a client generated from our .proto files."""

import hashlib
import os
import queue
import unittest
import uuid

import grpc
from google.rpc import error_details_pb2
from once import details_of, duration, reason_of, seconds
from onceward.v1 import admin_pb2, admin_pb2_grpc, coordinator_pb2, coordinator_pb2_grpc, record_pb2

# Declared by whoever started the coordinator.
NAMESPACE = "interop"
CALL_S = 30


def connect():
    # A proxy for HTTP in the environment is not for the loopback.
    return grpc.insecure_channel(os.environ["ONCEWARD_ADDRESS"], [("grpc.enable_http_proxy", 0)])


class TestCase(unittest.TestCase):
    def setUp(self):
        self.channel = connect()
        self.addCleanup(self.channel.close)
        self.coordinator = coordinator_pb2_grpc.CoordinatorStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)
        self.ref = record_pb2.KeyRef(namespace=NAMESPACE, key=str(uuid.uuid4()))

    def put_namespace(self, name, **policy):
        self.admin.PutNamespace(
            admin_pb2.PutNamespaceRequest(namespace={"name": name, "policy": admin_pb2.Policy(**policy)}),
            timeout=CALL_S,
        )

    def begin_request(self, **more):
        request = {"ref": self.ref, "operation": "/bank.Bank/Charge", "attempt_id": str(uuid.uuid4())}
        return coordinator_pb2.BeginRequest(**{**request, **more})

    def begin(self, expected, **more):
        """The outcome's message, if it is the expected one."""
        answer = self.coordinator.Begin(self.begin_request(**more), timeout=CALL_S)
        self.assertEqual(answer.WhichOneof("outcome"), expected)
        return getattr(answer, expected)

    def complete(self, token, **more):
        request = {"ref": self.ref, "fencing_token": token}
        return self.coordinator.Complete(coordinator_pb2.CompleteRequest(**{**request, **more}), timeout=CALL_S)

    def fail_attempt(self, token, kind, status, **more):
        request = coordinator_pb2.FailRequest(ref=self.ref, fencing_token=token, kind=kind, status=status, **more)
        return self.coordinator.Fail(request, timeout=CALL_S)

    def heartbeat(self, token, **more):
        request = coordinator_pb2.HeartbeatRequest(ref=self.ref, fencing_token=token, **more)
        return self.coordinator.Heartbeat(request, timeout=CALL_S)

    def lookup(self, ref=None, **more):
        return self.coordinator.Lookup(coordinator_pb2.LookupRequest(ref=ref or self.ref, **more), timeout=CALL_S)

    def refused(self, code, reason, call, *args, **more):
        """The details of the error that the call ends with."""
        with self.assertRaises(grpc.RpcError) as caught:
            call(*args, **more)
        self.assertEqual((caught.exception.code(), reason_of(caught.exception)), (code, reason))
        return details_of(caught.exception)


RESULT = record_pb2.Result(
    payload=bytes(range(256)),
    content_type="application/grpc+proto",
    status=record_pb2.Status(code=0, message="charged", details=b"\x00\xff"),
    initial_metadata=[{"name": "region", "value": b"eu-1"}, {"name": "region", "value": b"eu-2"}],
    trailing_metadata=[{"name": "trace-bin", "value": b"\x00\x80\xff"}],
)


class LifeCycle(TestCase):
    def test_mint_key(self):
        mint = lambda **more: self.coordinator.MintKey(
            coordinator_pb2.MintKeyRequest(namespace=NAMESPACE, **more), timeout=CALL_S
        ).key
        self.assertEqual(uuid.UUID(mint()).version, 7)
        derived = mint(scope="acme", client_request_id="r-1")
        self.assertEqual(mint(scope="acme", client_request_id="r-1"), derived)
        self.ref = record_pb2.KeyRef(namespace=NAMESPACE, scope="acme", key=derived)
        self.assertEqual(self.begin("execute").attempt, 1)

    def test_begin_sent_again_is_the_same_grant(self):
        first = self.begin("execute", attempt_id="a-1")
        again = self.begin("execute", attempt_id="a-1")
        self.assertEqual((again.fencing_token, again.attempt), (first.fencing_token, 1))
        self.assertLessEqual(seconds(again.lease), seconds(first.lease))
        self.assertFalse(again.takeover)
        self.assertFalse(again.HasField("checkpoint"))
        self.assertFalse(again.HasField("waited"))

    def test_in_progress(self):
        self.begin("execute", lease=duration(60))
        busy = self.begin("in_progress")
        self.assertEqual(busy.attempt, 1)
        self.assertTrue(50 < seconds(busy.lease_left) <= 60)
        self.assertGreater(seconds(busy.retry_after), 0)

    def test_wait_for_the_result(self):
        token = self.begin("execute").fencing_token
        waiting = self.coordinator.Begin.future(self.begin_request(wait=duration(20)), timeout=CALL_S)
        self.complete(token, result=RESULT)
        self.assertEqual(waiting.result().replay.result, RESULT)

    def test_heartbeat_and_checkpoint(self):
        token = self.begin("execute", lease=duration(10)).fencing_token
        left = seconds(self.heartbeat(token, lease=duration(60), checkpoint=b"page 3", checkpoint_sequence=2).lease_left)
        self.assertTrue(50 < left <= 60)
        # One that was delayed on its way brings back neither an older checkpoint nor a shorter lease.
        self.heartbeat(token, lease=duration(1), checkpoint=b"page 2", checkpoint_sequence=1)
        self.assertGreater(seconds(self.lookup().lease_left), 50)
        self.fail_attempt(token, "KIND_RETRYABLE", record_pb2.Status(code=14))
        self.assertEqual(self.begin("execute").checkpoint, b"page 3")

    def test_complete_sent_again(self):
        token = self.begin("execute").fencing_token
        first = self.complete(token, result=RESULT)
        again = self.complete(token, result=RESULT)
        self.assertEqual((first.already, again.already), (False, True))
        self.assertEqual(again.expire_time, first.expire_time)
        self.refused(
            grpc.StatusCode.ABORTED, "RESULT_CONFLICT", self.complete, token, result=record_pb2.Result(payload=b"other")
        )

    def test_replay_is_byte_for_byte(self):
        token = self.begin("execute").fencing_token
        expire_time = self.complete(token, result=RESULT).expire_time
        replay = self.begin("replay")
        self.assertEqual(replay.result.SerializeToString(), RESULT.SerializeToString())
        self.assertEqual((replay.attempts, replay.expire_time), (1, expire_time))
        self.assertEqual(replay.expire_time.ToSeconds() - replay.finish_time.ToSeconds(), 24 * 3600)

    def test_replay_tells_an_empty_payload_from_none(self):
        token = self.begin("execute").fencing_token
        self.complete(token, result=record_pb2.Result(payload=b""))
        self.assertTrue(self.begin("replay").result.HasField("payload"))

    def test_final_failure_is_replayed(self):
        token = self.begin("execute").fencing_token
        status = record_pb2.Status(code=9, message="card declined", details=b"\x08\x09\xff")
        metadata = [{"name": "decline-code", "value": b"51"}]
        first = self.fail_attempt(token, "KIND_FINAL", status, trailing_metadata=metadata)
        again = self.fail_attempt(token, "KIND_FINAL", status, trailing_metadata=metadata)
        self.assertEqual((first.already, again.already), (False, True))
        self.assertEqual(first.state, record_pb2.STATE_FAILED)
        result = self.begin("replay").result
        self.assertEqual(result.status, status)
        self.assertEqual(result.trailing_metadata[0].value, b"51")

    def test_retryable_failure_frees_the_key(self):
        token = self.begin("execute").fencing_token
        status = record_pb2.Status(code=14, message="bank is down")
        released = self.fail_attempt(token, "KIND_RETRYABLE", status, retry_after=duration(5))
        self.assertEqual(released.state, record_pb2.STATE_RELEASED)
        error = self.lookup().last_error
        self.assertEqual((error.status, seconds(error.retry_after)), (status, 5))
        again = self.begin("execute")
        self.assertEqual((again.attempt, again.takeover), (2, False))
        self.assertGreater(again.fencing_token, token)

    def test_takeover_and_lease_lost(self):
        old = self.begin("execute", lease=duration(0.1)).fencing_token
        # The wait ends with the lapse of the lease.
        new = self.begin("execute", wait=duration(20))
        self.assertEqual((new.attempt, new.takeover), (2, True))
        self.assertGreater(new.fencing_token, old)
        self.assertGreater(seconds(new.waited), 0)
        for call in (self.complete, self.heartbeat):
            self.refused(grpc.StatusCode.ABORTED, "LEASE_LOST", call, old)
        self.complete(new.fencing_token, result=RESULT)

    def test_late_complete_counts_while_nobody_took_over(self):
        token = self.begin("execute", lease=duration(0.1)).fencing_token
        while seconds(self.lookup().lease_left) > 0:
            pass
        self.complete(token, result=RESULT)
        self.begin("replay")

    def test_parked(self):
        self.put_namespace("interop-parked", on_lapse="ON_LAPSE_PARK", default_lease=duration(0.1))
        self.ref.namespace = "interop-parked"
        self.begin("execute")
        self.assertEqual(self.begin("indeterminate", wait=duration(20)).attempt, 1)
        self.assertEqual(self.lookup().state, record_pb2.STATE_INDETERMINATE)

    def test_result_expired(self):
        hour = {"duration": duration(3600)}
        self.put_namespace("interop-brief", result_retention={"duration": duration(1)}, tombstone_retention=hour)
        self.ref.namespace = "interop-brief"
        finish_time = self.lookup_after_complete().finish_time
        while self.coordinator.Begin(self.begin_request(), timeout=CALL_S).WhichOneof("outcome") == "replay":
            pass
        self.assertEqual(self.begin("result_expired").finish_time, finish_time)

    def lookup_after_complete(self):
        self.complete(self.begin("execute").fencing_token, result=RESULT)
        return self.lookup(with_result=True)

    def test_lookup(self):
        record = self.lookup_after_complete()
        self.assertEqual((record.state, record.attempt, record.result), (record_pb2.STATE_COMPLETED, 1, RESULT))
        self.assertFalse(record.HasField("lease_left"))
        self.assertFalse(self.lookup().HasField("result"))

    def test_lineage(self):
        self.put_namespace("interop-bank")
        self.begin("execute", labels={"team": "shop"})
        child = record_pb2.KeyRef(namespace="interop-bank", scope="acme", key=str(uuid.uuid4()))
        self.begin("execute", ref=child, parent=self.ref)
        record = self.lookup(with_lineage=True)
        self.assertEqual([each.ref for each in record.children], [child])
        self.assertEqual((dict(record.labels), record.children_omitted), ({"team": "shop"}, False))
        self.assertEqual(self.lookup(child).parent, self.ref)

    def test_batch(self):
        token = self.begin("execute").fencing_token
        calls = [
            coordinator_pb2.Call(id=7, complete={"ref": self.ref, "fencing_token": token, "result": RESULT}),
            coordinator_pb2.Call(id=5, begin=self.begin_request(ref={"namespace": NAMESPACE, "key": "bad key"})),
            coordinator_pb2.Call(id=6, begin=self.begin_request(ref={"namespace": NAMESPACE, "key": str(uuid.uuid4())})),
        ]
        answers = self.coordinator.Batch(coordinator_pb2.BatchRequest(calls=calls), timeout=CALL_S).answers
        self.assertEqual(
            [(each.id, each.WhichOneof("response")) for each in answers],
            [(7, "complete"), (5, "status"), (6, "begin")],
        )
        # The same error as in the trailer of a call that comes alone.
        info = error_details_pb2.ErrorInfo()
        self.assertTrue(answers[1].status.details[0].Unpack(info))
        self.assertEqual((answers[1].status.code, info.reason), (3, "KEY_INVALID"))
        self.assertEqual(answers[2].begin.execute.attempt, 1)

    def test_session(self):
        frames = queue.Queue()
        answers = self.coordinator.Session(iter(frames.get, None), timeout=CALL_S)
        arrived = (answer for frame in answers for answer in frame.answers)
        calls = [coordinator_pb2.Call(id=i, begin=self.begin_request()) for i in (1, 2)]
        frames.put(coordinator_pb2.SessionRequest(calls=calls))
        both = sorted((next(arrived) for _ in calls), key=lambda each: each.id)
        outcomes = {each.begin.WhichOneof("outcome"): each.begin for each in both}
        self.assertEqual(set(outcomes), {"execute", "in_progress"})
        # A waiter does not hold up what comes after it.
        wait = coordinator_pb2.Call(id=3, begin=self.begin_request(wait=duration(20)))
        frames.put(coordinator_pb2.SessionRequest(calls=[wait]))
        token = outcomes["execute"].execute.fencing_token
        beat = coordinator_pb2.Call(id=4, heartbeat={"ref": self.ref, "fencing_token": token})
        frames.put(coordinator_pb2.SessionRequest(calls=[beat]))
        self.assertEqual(next(arrived).id, 4)
        done = coordinator_pb2.Call(id=5, complete={"ref": self.ref, "fencing_token": token, "result": RESULT})
        frames.put(coordinator_pb2.SessionRequest(calls=[done]))
        last = {each.id: each for each in (next(arrived), next(arrived))}
        self.assertEqual(last[3].begin.replay.result, RESULT)
        self.assertFalse(last[5].complete.already)
        frames.put(None)
        self.assertEqual(list(arrived), [])
        self.assertEqual(answers.code(), grpc.StatusCode.OK)


class Refusals(TestCase):
    def test_key_mismatch(self):
        digest = lambda text: record_pb2.Fingerprint(version=1, digest=hashlib.sha256(text).digest())
        self.begin("execute", fingerprint=digest(b"10 EUR"))
        for field, other in (("fingerprint", {"fingerprint": digest(b"99 EUR")}), ("operation", {"operation": "refund"})):
            details = self.refused(
                grpc.StatusCode.FAILED_PRECONDITION,
                "KEY_MISMATCH",
                self.coordinator.Begin,
                self.begin_request(**{"fingerprint": digest(b"10 EUR"), **other}),
                timeout=CALL_S,
            )
            self.assertEqual(dict(details["ErrorInfo"].metadata), {"field": field})

    def test_key_too_old(self):
        request = self.begin_request(first_attempt_time={"seconds": 0})
        self.refused(
            grpc.StatusCode.FAILED_PRECONDITION, "KEY_TOO_OLD", self.coordinator.Begin, request, timeout=CALL_S
        )

    def test_invalid_argument_names_the_fields(self):
        request = self.begin_request(operation="", wait=duration(301))
        details = self.refused(
            grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID", self.coordinator.Begin, request, timeout=CALL_S
        )
        violations = {each.field: each.description for each in details["BadRequest"].field_violations}
        self.assertEqual(set(violations), {"operation", "wait"})
        self.assertIn("300000 ms", violations["wait"])

    def test_invalid_key(self):
        self.ref.key = "bad key"
        details = self.refused(grpc.StatusCode.INVALID_ARGUMENT, "KEY_INVALID", self.lookup)
        self.assertEqual([each.field for each in details["BadRequest"].field_violations], ["ref.key"])

    def test_not_found(self):
        self.refused(grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND", self.lookup)
        self.ref.namespace = "nobodys"
        self.refused(grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.lookup)
