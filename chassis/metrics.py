"""Everything the product measures, in one typed list. ``/metrics`` shows it; docs/operations.md explains it.

No label ever carries personal data; a municipality is no label of a hot path. A route is its template, never its path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the list."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]


METRICS: list[Metric] = []


def _counter(name: str, text: str, *labels: str) -> Counter:
    METRICS.append(Metric(name, "counter", text, labels))
    return Counter(name, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    METRICS.append(Metric(name, "gauge", text, labels))
    return Gauge(name, text, labels)


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    METRICS.append(Metric(name, "histogram", text, labels))
    return Histogram(name, text, labels, buckets=_SECONDS)


HTTP_REQUESTS = _counter("taiwa_http_requests_total", "Requests answered", "service", "method", "route", "status")
HTTP_SECONDS = _histogram("taiwa_http_request_seconds", "Time to the end of the answer", "service", "method", "route")
LOOP_FAULTS = _counter("taiwa_loop_faults_total", "Loops that ended by a fault and were begun again", "service", "loop")

RELAY_PUBLISHED = _counter("taiwa_relay_published_total", "Events published to Kafka", "service")
RELAY_OLDEST = _gauge("taiwa_relay_oldest_seconds", "Age of the oldest event that is not published yet", "service")
RELAY_LEADER = _gauge("taiwa_relay_leader", "1 where this process leads the service's relay", "service")
CONSUMER_RECORDS = _counter(
    "taiwa_consumer_records_total", "Records consumed, by what became of them", "service", "outcome"
)
CONSUMER_LAG = _gauge("taiwa_consumer_lag_records", "Records not applied yet", "service", "topic")
CONSUMER_STOPS = _gauge("taiwa_consumer_stops", "Stopped consumers, paused and blocked partitions", "service")
DEAD_LETTERS_OPEN = _gauge("taiwa_dead_letters_open", "Dead letters, deferred and held records", "service", "kind")
TIMERS_RUN = _counter("taiwa_timers_run_total", "Timers run, by outcome", "service", "outcome")
TIMERS_OVERDUE = _gauge("taiwa_timers_overdue_seconds", "How late the oldest due timer is", "service")
