"""A store that is away for a while. Says `away` when it has seen that, for it to be given back."""

import grpc
from life_cycle_test import RESULT, TestCase
from once import once, seconds


class Outage(TestCase):
    def test_retry_info_and_recovery(self):
        details = self.refused(
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
            self.coordinator.Begin,
            self.begin_request(),
            timeout=30,
        )
        self.assertEqual(seconds(details["RetryInfo"].retry_delay), 0.1)
        print("away", flush=True)
        self.assertEqual(once(self.coordinator, self.ref, "charge", lambda lease: RESULT), RESULT)
        self.begin("replay", operation="charge")
