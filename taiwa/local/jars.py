"""The jars of Apache Kafka: fetched by Maven coordinates, checked against the committed lock, shared by checkouts.

``python -m taiwa.local.jars`` resolves the coordinates anew and prints a lock, for whoever raises the version.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from taiwa.mendable import Mendable

LOCK = Path(__file__).with_name("kafka.lock.toml")
ENDPOINT = "org.apache.kafka:kafka_2.13:{kafka}+org.slf4j:slf4j-simple:1.7.36"
MIRROR_VARIABLE = "TAIWA_MAVEN_REPOSITORY"
FETCHES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar of the lock; ``sha256`` in lower-case hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name Maven gives the file."""
        return f"{self.artifact}-{self.version}.jar"


def locked(lock: Path = LOCK) -> list[Jar]:
    """Read the jars of a lock file, in its order."""
    jars = []
    for entry in tomllib.loads(lock.read_text())["jar"]:
        group, artifact, version = entry["at"].split(":")
        jars.append(Jar(group, artifact, version, entry["sha256"]))
    return jars


def folder() -> Path:
    """Where the jars are kept: the user's cache directory, so that several checkouts share them."""
    return user_cache_path("taiwa") / "jars"


def missing(jars: list[Jar], where: Path) -> list[Jar]:
    """Return those of ``jars`` that have yet to be fetched."""
    return [jar for jar in jars if not (where / jar.file_name).exists()]


def fetch(jars: list[Jar], where: Path, progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Return the paths of all ``jars`` in ``where``, fetched as needed, each with the locked SHA-256.

    Two starts at once wait for one another. ``progress(done, of)`` is called after each fetched jar.

    Raises:
        Mendable: no network, or a jar differs from the lock; nothing that differs is left behind as usable.
    """
    where.mkdir(parents=True, exist_ok=True)
    with _only_one(where / ".lock"):
        wanted = missing(jars, where)
        if wanted:
            _fetch_into(wanted, where, progress)
    paths = []
    for jar in jars:
        path = where / jar.file_name
        if _sha256(path) != jar.sha256:
            raise Mendable(
                f"{path} differs from the lock ({LOCK.name}): its SHA-256 is not {jar.sha256}. It is not used.",
                f"Delete the file and start again; it is fetched anew: rm '{path}'",
            )
        paths.append(path)
    return paths


def _fetch_into(wanted: list[Jar], where: Path, progress: Callable[[int, int], None] | None) -> None:
    # jgo writes straight to its cache, so an interrupted download would look complete: a throw-away cache it is.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=where) as staging:
        done = 0
        with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
            for jar, path in zip(wanted, pool.map(lambda jar: _download(jar, Path(staging)), wanted), strict=True):
                if _sha256(path) != jar.sha256:
                    raise Mendable(
                        f"What the Maven repository gave as {jar.file_name} has not the SHA-256 of {LOCK.name}.",
                        "Nothing was started. Try again; if it stays so, the repository or a proxy changes files: "
                        f"name another one in {MIRROR_VARIABLE}.",
                    )
                path.replace(where / jar.file_name)
                done += 1
                if progress:
                    progress(done, len(wanted))


def _download(jar: Jar, staging: Path) -> Path:
    from jgo.maven import MavenContext  # noqa: PLC0415 - costs 0.3 s and is needed at the first start only
    from requests import RequestException  # noqa: PLC0415 - as above

    mirror = os.environ.get(MIRROR_VARIABLE)
    context = MavenContext(repo_cache=staging, timeout=30, remote_repos={"mirror": mirror} if mirror else None)
    try:
        path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (RequestException, OSError, RuntimeError) as fault:
        raise unreachable(jar.file_name, fault) from fault
    return path


def unreachable(what: str, fault: Exception) -> Mendable:
    """Describe a fetch that failed, apart from a full disk, which the caller sees as such."""
    if isinstance(fault, OSError) and fault.errno is not None and fault.errno == 28:  # noqa: PLR2004 - ENOSPC
        return Mendable(
            f"The disk is full: {what} could not be stored in {folder()}.",
            "Free about 200 MB there, or set XDG_CACHE_HOME to a folder on another disk.",
        )
    return Mendable(
        f"The first start fetches Apache Kafka (about 45 MB) and {what} could not be fetched: {fault}",
        "Connect to the network once (later starts need none), set HTTPS_PROXY, "
        f"or name a Maven repository within reach in {MIRROR_VARIABLE}.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_lock(kafka: str) -> str:
    """Resolve Apache Kafka of a version with all it needs and return the text of a lock file.

    Raises:
        Mendable: the resolution mixes versions of Kafka's own jars.
    """
    from jgo.env import EnvironmentBuilder  # noqa: PLC0415 - for maintainers only
    from jgo.maven import MavenContext  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch) / "repository")
        builder = EnvironmentBuilder(context=context, cache_dir=Path(scratch) / "environments")
        environment = builder.from_endpoint(ENDPOINT.format(kafka=kafka))
        resolved = tomllib.loads(next(Path(environment.path).rglob("jgo.lock.toml")).read_text())["dependencies"]
        shutil.rmtree(environment.path, ignore_errors=True)
    mixed = {jar["version"] for jar in resolved if jar["groupId"] == "org.apache.kafka"} - {kafka}
    if mixed:
        raise Mendable(f"Kafka's own jars have other versions too: {sorted(mixed)}", "Change the endpoint's extras.")
    lines = [*LOCK.read_text().splitlines()[:2], f'kafka = "{kafka}"']
    for jar in sorted(resolved, key=lambda jar: (jar["groupId"], jar["artifactId"])):
        at = f"{jar['groupId']}:{jar['artifactId']}:{jar['version']}"
        lines += ["", "[[jar]]", f'at = "{at}"', f'sha256 = "{jar["sha256"]}"']
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(make_lock(sys.argv[1] if len(sys.argv) > 1 else tomllib.loads(LOCK.read_text())["kafka"]))
