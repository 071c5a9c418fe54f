"""The loop around the calls, with the faults it is for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from life_cycle_test import RESULT, TestCase
from once import FinalFailure, NotRun, duration, once, seconds
from onceward.v1 import admin_pb2, record_pb2


class Lost(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self):
        return None


class Faulty:
    """A stub to a coordinator over a bad network: `fault(method, send)` stands in for the call."""

    def __init__(self, stub, fault):
        self._stub, self._fault = stub, fault

    def __getattr__(self, name):
        method = getattr(self._stub, name)
        return lambda request, timeout: self._fault(name, lambda: method(request, timeout=timeout))


class Once(TestCase):
    def setUp(self):
        super().setUp()
        self.leases = []

    def work(self, lease):
        self.leases.append(lease)
        return RESULT

    def once(self, work=None, stub=None, **more):
        return once(stub or self.coordinator, self.ref, "/bank.Bank/Charge", work or self.work, **more)

    def test_runs_and_then_replays(self):
        self.assertEqual([self.once(), self.once()], [RESULT, RESULT])
        self.assertEqual(len(self.leases), 1)

    def test_callers_at_once_share_one_run(self):
        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(lambda _: self.once(), range(20)))
        self.assertEqual(results, [RESULT] * 20)
        self.assertEqual(len(self.leases), 1)

    def test_lost_answers(self):
        lost = set()

        def fault(name, send):
            answer = send()
            if name not in lost:
                lost.add(name)
                raise Lost
            return answer

        self.assertEqual(self.once(stub=Faulty(self.coordinator, fault)), RESULT)
        self.assertEqual(lost, {"Begin", "Complete"})
        self.assertEqual([lease.attempt for lease in self.leases], [1])

    def test_final_failure_is_a_result(self):
        def declined(_):
            self.leases.append(_)
            raise FinalFailure(9, "card declined")

        statuses = [self.once(declined).status for _ in range(2)]
        self.assertEqual(statuses, [record_pb2.Status(code=9, message="card declined")] * 2)
        self.assertEqual(len(self.leases), 1)

    def test_any_other_failure_frees_the_key_for_a_retry_that_goes_on(self):
        def breaks(lease):
            lease.save(b"page 2")
            lease.save(b"page 3")
            raise ConnectionError("bank is down")

        with self.assertRaises(ConnectionError):
            self.once(breaks)
        self.assertEqual(self.lookup().last_error.status.message, "bank is down")
        self.once()
        self.assertEqual([(lease.attempt, lease.checkpoint) for lease in self.leases], [(2, b"page 3")])

    def test_work_may_outlast_the_lease(self):
        def slow(lease):
            end = time.monotonic() + 5
            while not lease.lost.wait(0.1) and time.monotonic() < end:
                pass
            self.assertGreater(seconds(self.lookup().lease_left), 0)
            return self.work(lease)

        self.once(slow, lease_s=2)
        self.assertEqual([(lease.attempt, lease.lost.is_set()) for lease in self.leases], [(1, False)])
        self.assertEqual(self.lookup().attempt, 1)

    def once_without_heartbeats(self, work, lease_s=0.5):
        def fault(name, send):
            if name == "Heartbeat":
                raise Lost
            return send()

        return self.once(work, stub=Faulty(self.coordinator, fault), lease_s=lease_s)

    def test_gives_a_lease_up_before_it_ends(self):
        def cut_off(lease):
            start = time.monotonic()
            self.assertTrue(lease.lost.wait(20))
            self.assertLess(time.monotonic() - start, 4.7)
            return self.work(lease)

        # Nobody took over, so what came of it counts.
        self.assertEqual(self.once_without_heartbeats(cut_off, lease_s=5), RESULT)
        self.assertEqual(len(self.leases), 1)

    def test_gives_a_lease_up_when_a_heartbeat_is_refused(self):
        def forgotten(lease):
            start = time.monotonic()
            self.admin.Forget(admin_pb2.ForgetRequest(ref=self.ref, reason="test", even_if_leased=True), timeout=30)
            self.assertTrue(lease.lost.wait(20))
            self.assertLess(time.monotonic() - start, 4)
            return self.work(lease)

        self.refused(grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND", self.once, forgotten, lease_s=6)

    def overtaken(self, lease):
        """Someone else has it done before this one comes to."""
        taken = self.begin("execute", wait=duration(20))
        self.assertTrue(taken.takeover)
        self.complete(taken.fencing_token, result=record_pb2.Result(payload=b"by the other"))
        return self.work(lease)

    def test_takes_the_result_of_who_took_over(self):
        self.assertEqual(self.once_without_heartbeats(self.overtaken).payload, b"by the other")
        self.assertEqual(len(self.leases), 1)

    def test_takes_it_also_when_its_own_try_failed(self):
        def fails(lease):
            self.overtaken(lease)
            raise ConnectionError("bank is down")

        self.assertEqual(self.once_without_heartbeats(fails).payload, b"by the other")
        self.assertEqual(len(self.leases), 1)

    def test_waits_for_who_is_at_it(self):
        entered, leave = threading.Event(), threading.Event()

        def holds(lease):
            entered.set()
            self.assertTrue(leave.wait(20))
            return self.work(lease)

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(self.once, holds)
            self.assertTrue(entered.wait(20))
            second = pool.submit(self.once)
            leave.set()
            self.assertEqual([first.result(), second.result()], [RESULT, RESULT])
        self.assertEqual(len(self.leases), 1)

    def test_never_runs_what_is_parked(self):
        self.put_namespace("interop-parked", on_lapse="ON_LAPSE_PARK")
        self.ref.namespace = "interop-parked"
        self.begin("execute", lease=duration(0.1))
        with self.assertRaisesRegex(NotRun, "indeterminate"):
            self.once()
        self.assertEqual(self.leases, [])
