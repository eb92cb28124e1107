"""Seeds that once showed a defect, of the product or of the simulation itself; each is a test for ever.

What a seed does depends on every latency that was drawn before, and so on each statement of the product. A defect worth
remembering therefore has a test of its own as well, named here.
"""

from __future__ import annotations

SEEDS = {
    7: "republish after rebase published one page only: tests/integration/messaging/test_repair.py",
    31: "letters of the old log stood before the events that were missing: tests/integration/messaging/test_repair.py",
    47: "an idle consumer did not see that its database was restored: tests/integration/messaging/test_consumer.py",
    119: "a consumer that knew an older generation stopped and asked for another republish",
    287: "as 47, with the topic's beginning deleted",
    2087: "a consumer began silently where the log's beginning was gone: tests/integration/messaging/test_consumer.py",
    3015: "a restored log without a place: its first page only: tests/integration/messaging/test_relay_log.py",
    6191: "a relay that led did not notice another Kafka: tests/integration/messaging/test_delivery.py",
    6295: "republish without a rebase, as 7: tests/integration/messaging/test_repair.py",
    7055: "a relay that had stood published an old page: tests/integration/messaging/test_delivery.py",
    703: "records were deleted before an idle consumer read them: tests/integration/messaging/test_consumer.py",
    6447: "as 703",
    234: "a restored database made a hole in states: tests/integration/messaging/test_consumer.py",
    8950: "a clock that was put back while a timer ran (the simulation's own)",
    565: "members of a group that joined at once waited for each other (the simulation's own)",
    905: "a lock was given up and timed out in the same moment (the simulation's own)",
}
