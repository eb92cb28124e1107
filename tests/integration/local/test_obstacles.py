"""Each thing that can stand in the way of a start is told in a sentence, with the mend."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from chassis.testing import eventually
from taiwa.cli.application import app
from taiwa.local import jars, ports, state
from taiwa.local.kafka import Kafka
from taiwa.local.state import Run, Running, State, stop_left_over
from taiwa.mendable import Mendable
from taiwa.services import WITH_CLOCK


def test_a_port_in_use_is_named_with_its_process_and_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Mendable) as told:
            ports.require_free(port, "kafka", "--port kafka=")
    assert str(port) in told.value.problem
    assert "pid" in told.value.problem
    assert "--port kafka=" in told.value.mend


def test_a_free_port_is_none_that_an_outgoing_connection_could_get() -> None:
    """The system gives those from a range of its own; one that was free a moment ago may be gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(20):
            with socket.create_connection(server.getsockname()) as outgoing:
                assert outgoing.getsockname()[1] not in ports.GIVEN
    port = ports.free_port()
    assert port in ports.GIVEN
    assert ports.is_free(port)


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=100_000_000, used=95_000_000, free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Mendable, match="5 MB are free") as told:
        State(tmp_path / "state").require_space()
    assert "--state" in told.value.mend


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("in the way")
    with pytest.raises(Mendable, match="cannot be written") as told:
        State(tmp_path / "a-file" / "state")
    assert "--state" in told.value.mend


def test_a_second_start_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = State(tmp_path)
    first.claim()
    first.record(Run(Running.now("supervisor", 1)))
    with pytest.raises(Mendable, match=r"running already \(pid 1\)"):
        State(tmp_path).claim()


def test_a_left_over_process_is_named_and_stopped_by_the_command_it_is_told(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder = State(tmp_path)
        folder.record(Run(Running("supervisor", 2**22 - 7, 0.0), [Running.now("kafka", process.pid)]))
        with pytest.raises(Mendable, match=rf"kafka \(pid {process.pid}\)") as told:
            folder.claim()
        assert told.value.mend.endswith(f"taiwa stop --state '{tmp_path}'")
        stop_left_over(folder.left_over())
        process.wait(10)
        State(tmp_path).claim()
    finally:
        process.kill()


def test_another_process_that_got_the_same_id_is_not_taken_for_ours() -> None:
    assert not Running("kafka", 1, started=12345.0).alive()


def test_without_a_network_the_first_start_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jars.MIRROR_VARIABLE, f"http://127.0.0.1:{ports.free_port()}")
    with pytest.raises(Mendable, match="could not be fetched") as told:
        jars.fetch(jars.locked()[:1], tmp_path)
    assert jars.MIRROR_VARIABLE in told.value.mend
    assert list(tmp_path.glob("*.jar")) == []


def test_a_jar_that_differs_from_the_lock_is_never_used(tmp_path: Path) -> None:
    jar = jars.locked()[0]
    (tmp_path / jar.file_name).write_bytes(b"something else")
    with pytest.raises(Mendable, match="differs from the lock") as told:
        jars.fetch([jar], tmp_path)
    assert f"rm '{tmp_path / jar.file_name}'" in told.value.mend


def test_the_lock_holds_one_version_of_kafka_and_no_host() -> None:
    kafka = {jar.version for jar in jars.locked() if jar.group == "org.apache.kafka"}
    assert len(kafka) == 1
    assert "://" not in jars.LOCK.read_text()
    assert all(len(jar.sha256) == 64 for jar in jars.locked())


def test_reset_asks_and_leaves_foreign_files_alone(tmp_path: Path) -> None:
    State(tmp_path).secret("x.password")
    (tmp_path / "mine.txt").write_text("not taiwa's")
    asked = CliRunner().invoke(app, ["reset", "--state", str(tmp_path)], input="n\n")
    assert asked.exit_code == 1
    for_programs = CliRunner().invoke(app, ["reset", "--state", str(tmp_path), "--json"], input="n\n")
    assert for_programs.exit_code == 1
    # The runner shows what is typed, where a terminal would.
    assert json.loads(for_programs.stdout.splitlines()[-1]) == {"deleted": []}
    assert (tmp_path / "secrets" / "x.password").exists()
    done = CliRunner().invoke(app, ["reset", "--state", str(tmp_path), "--yes", "--json"])
    assert json.loads(done.stdout) == {"deleted": ["logs", "secrets"]}
    assert not (tmp_path / "secrets" / "x.password").exists()
    assert (tmp_path / "mine.txt").exists()


def test_a_running_installation_cannot_be_reset(tmp_path: Path) -> None:
    State(tmp_path).record(Run(Running.now("supervisor", 1)))
    answer = CliRunner().invoke(app, ["reset", "--state", str(tmp_path), "--yes"])
    assert isinstance(answer.exception, Mendable)


def test_stopping_tells_what_was_there_to_stop(tmp_path: Path) -> None:
    def stop() -> object:
        return json.loads(CliRunner().invoke(app, ["stop", "--state", str(tmp_path), "--json"]).stdout)

    assert stop() == {"stopped": False, "left_over": []}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        gone = Running("supervisor", child.pid, 0.0)
        State(tmp_path).record(Run(gone, children=[Running.now("leaders", child.pid)]))
        # A child of this process is a zombie until it is waited for, which is no process that runs.
        assert stop() == {"stopped": False, "left_over": ["leaders"]}
    assert child.returncode == -signal.SIGTERM
    assert State(tmp_path).run() is None


def test_secrets_are_for_the_owner_only_and_stay_the_same(tmp_path: Path) -> None:
    folder = State(tmp_path)
    path = folder.secret("leaders.password")
    assert path.stat().st_mode & 0o077 == 0
    assert folder.secret("leaders.password").read_text() == path.read_text()
    assert state.default_state().name == "taiwa"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[jars.Jar]:
    """A Maven repository on loopback that holds one jar and counts how often it is asked for it."""
    content = b"a small jar"
    jar = jars.Jar("org.example", "small", "1.0", hashlib.sha256(content).hexdigest())
    place = tmp_path / "repository" / "org" / "example" / "small" / "1.0"
    place.mkdir(parents=True)
    (place / jar.file_name).write_bytes(content)
    handler = functools.partial(Quiet, directory=str(tmp_path / "repository"))
    Quiet.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(jars.MIRROR_VARIABLE, f"http://127.0.0.1:{server.server_port}")
        yield jar
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        if self.path.endswith(".jar"):
            Quiet.asked += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_two_first_starts_at_once_fetch_a_jar_once(repository: jars.Jar, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as starts:
        both = list(starts.map(lambda _: jars.fetch([repository], tmp_path / "cache"), range(2)))
    assert both[0] == both[1]
    assert both[0][0].read_bytes() == b"a small jar"
    assert Quiet.asked == 1


def test_a_repository_that_gives_another_file_is_not_trusted(repository: jars.Jar, tmp_path: Path) -> None:
    other = replace(repository, sha256="0" * 64)
    with pytest.raises(Mendable, match="has not the SHA-256"):
        jars.fetch([other], tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*.jar")) == []


async def test_a_broker_whose_disk_was_wiped_starts_again_empty(tmp_path: Path) -> None:
    broker = Kafka(tmp_path, ports.free_port(), ports.free_port(), jars.fetch(jars.locked(), jars.folder()))
    try:
        broker.start()
        assert broker.process is not None
        broker.process.kill()
        broker.process.wait()
        shutil.rmtree(tmp_path / "log")
        broker.spawn()  # as the supervisor does
        await eventually(broker.ready, timeout=60)
    finally:
        broker.stop()


def installed(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as it is installed, with nothing of this process's installation."""
    command = Path(sys.executable).with_name("taiwa")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")}
    return subprocess.run([command, *arguments], capture_output=True, text=True, env=kept | environment, check=False)


def test_the_installed_command_tells_what_can_be_mended_and_no_traceback(tmp_path: Path) -> None:
    told = installed("status", "--state", tmp_path)
    assert told.returncode == 1
    assert "Mend: Start it with `taiwa demo`" in told.stderr
    assert "Traceback" not in told.stderr


def test_servers_that_do_not_answer_are_told_once_and_in_our_words() -> None:
    port = str(ports.free_port())
    passwords = {f"TAIWA_{name.upper()}_DATABASE_PASSWORD": "none" for name in WITH_CLOCK}
    told = installed(
        "status",
        TAIWA_KAFKA=f"{ports.LOOPBACK}:{port}",
        TAIWA_POSTGRES_HOST=ports.LOOPBACK,
        TAIWA_POSTGRES_PORT=port,
        **passwords,
    )
    assert told.stdout.count("does not answer; events wait in the event logs") == 1
    assert (told.returncode, told.stderr) == (1, "")
