"""PostgreSQL and Kafka for one test run, started once and shared by its workers."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres

GIVEN_POSTGRES = "TAIWA_TEST_POSTGRES"
GIVEN_KAFKA = "TAIWA_TEST_KAFKA"
CONTAINERS = "TAIWA_TEST_CONTAINERS"

Started = tuple[str, list[int], list[str]]
"""The address, the ids of started processes, the ids of started containers."""


def postgres(run: Path) -> str:
    """Return a superuser's URL; start the server if this run has none."""
    start = _contained_postgres if os.environ.get(CONTAINERS) == "1" else _embedded_postgres
    return os.environ.get(GIVEN_POSTGRES) or _once(run, "postgres", start)


def kafka(run: Path) -> str:
    """Return bootstrap servers; start the broker if this run has none."""
    start = _contained_kafka if os.environ.get(CONTAINERS) == "1" else _embedded_kafka
    return os.environ.get(GIVEN_KAFKA) or _once(run, "kafka", start)


def stop_all(run: Path) -> None:
    """Stop every server this run started; their state is thrown away, so at once will do."""
    for note in run.glob("*.json"):
        _, processes, containers = json.loads(note.read_text())
        for pid in processes:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGQUIT if note.stem == "postgres" else signal.SIGKILL)
        if containers:
            subprocess.run(["docker", "rm", "-f", "-v", *containers], check=False, capture_output=True)


def _once(run: Path, name: str, start: Callable[[Path], Started]) -> str:
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = run / f"{name}.json"
        if not note.exists():
            note.write_text(json.dumps(start(run)))
        address: str = json.loads(note.read_text())[0]
        return address


def _embedded_postgres(run: Path) -> Started:
    server = Postgres(run / "postgres", ports.free_port(), durable=False)
    server.start()
    assert server.process is not None
    return server.url, [server.process.pid], []


def _embedded_kafka(run: Path) -> Started:
    classpath = jars.fetch(jars.locked(), jars.folder())
    broker = Kafka(run / "kafka", ports.free_port(), ports.free_port(), classpath)
    broker.start()
    assert broker.process is not None
    return broker.bootstrap, [broker.process.pid], []


def _contained_postgres(run: Path) -> Started:
    _ours_alone()
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - needs an engine

    container = PostgresContainer("postgres:18", driver=None)
    container.start()
    url = f"postgresql://{container.username}:{container.password}@{container.get_container_host_ip()}"
    return f"{url}:{container.get_exposed_port(5432)}/postgres", [], [str(container.get_wrapped_container().id)]


def _contained_kafka(run: Path) -> Started:
    _ours_alone()
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - slow, and rarely needed
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - needs an engine

    # The advertised address must be known before the start, so the host's port is chosen here.
    port = ports.free_port()
    container = DockerContainer("apache/kafka:4.4.0").with_bind_ports(9092, port)
    for name, setting in {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }.items():
        container = container.with_env(name, setting)
    container.start()
    # The engine takes connections before the broker does.
    AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=60)
    return f"127.0.0.1:{port}", [], [str(container.get_wrapped_container().id)]


def _ours_alone() -> None:
    """Keep testcontainers from fetching an image that removes containers (:func:`stop_all` does), and on localhost."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
