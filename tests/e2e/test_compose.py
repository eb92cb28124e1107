"""What an operator gets: an empty product from one command, its first administrator, and the journey in it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from chassis.testing import MIDORI, eventually
from taiwa.api import Person
from taiwa.cli.messages import name_of
from taiwa.demo import story
from taiwa.local.ports import free_port
from tests.e2e.journey import LEADERS_ADDRESS, WELCOME, Journey, is_mailed

pytestmark = [pytest.mark.compose, pytest.mark.xdist_group("compose"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
SERVICES = ("directory", "leaders", "trainings", "consultations", "notifications", "portal")


@dataclass(frozen=True, slots=True)
class Compose:
    """One project of containers with names, ports and volumes of its own."""

    project: str
    ports: dict[str, int]

    def run(self, *arguments: str) -> str:
        """``docker compose …``; gives what it wrote.

        Raises:
            AssertionError: it failed; with its output and the containers' last words.
        """
        done = self._docker(*arguments)
        if done.returncode != 0:
            logs = self._docker("logs", "--tail", "30").stdout
            raise AssertionError(f"docker compose {' '.join(arguments)}:\n{done.stdout}{done.stderr}\n{logs}")
        return done.stdout

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return subprocess.run(
            ["docker", "compose", "-p", self.project, *arguments],
            cwd=ROOT,
            env={**os.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_PROJECT_NAME": self.project, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def base_url(self, name: str) -> str:
        """Where a part answers on this machine."""
        return f"http://127.0.0.1:{self.ports[name]}"


@contextmanager
def project(*up: str) -> Iterator[Compose]:
    """A project of its own after ``docker compose …``; everything of it is removed afterwards."""
    parts = (*SERVICES, "mailpit", "kafka", "postgres")
    it = Compose(f"taiwa-test-{secrets.token_hex(4)}", {name: free_port() for name in parts})
    try:
        it.run(*up, "--build", "--quiet-pull")
        yield it
    finally:
        it.run("--profile", "demo", "--profile", "cli", "down", "-v", "--remove-orphans", "-t", "5")


async def test_the_journey_runs_in_containers_from_nothing() -> None:
    with project("up", "-d", "--wait") as compose:
        async with httpx.AsyncClient(trust_env=False) as http:
            page = await http.get(f"{compose.base_url('portal')}/login")
            assert page.status_code == 200
            assert "ログイン" in page.text
            made = json.loads(
                compose.run(
                    *("run", "--rm", "-T", "cli", "accounts", "create-admin", "--json", "--municipality", MIDORI),
                    *("--town", "みどり町", "--kana", "ミドリマチ", "--login", "admin", "--fictional"),
                )
            )
            token = parse_qs(urlsplit(made["link"]).query)["token"][0]
            journey = Journey({name: compose.base_url(name) for name in SERVICES}, MIDORI, http)
            await journey.begin("admin", token)
            await journey.name_and_decide()
            await journey.learn()
            await journey.ask_and_resolve()

            await eventually(lambda: is_mailed(http, compose.base_url("mailpit"), LEADERS_ADDRESS, WELCOME))
        for name in ("LeaderAppointed", "TrainingCompleted", "ConsultationOpened"):
            tail = ("events", "tail", "--from-start", "--count", "1", "--type", name, "--json")
            shown = compose.run("run", "--rm", "-T", "cli", *tail)
            event = json.loads(shown)
            assert name_of(event["type"]) == name
            assert event["municipality"] == MIDORI


async def test_the_demo_town_in_containers_is_filled_and_everybody_of_it_can_log_in() -> None:
    with project("--profile", "demo", "up", "-d") as compose:

        def filling() -> Any:
            return json.loads(compose.run("--profile", "demo", "ps", "-a", "--format", "json", "demo"))

        await eventually(lambda: filling()["State"] == "exited", timeout=300, pause=1)
        told = compose.run("--profile", "demo", "logs", "--no-log-prefix", "demo")
        assert filling()["ExitCode"] == 0, told
        async with httpx.AsyncClient(trust_env=False) as http:
            for login in story.LOGINS:
                assert f"{login.login} " in told
                urls = {name: compose.base_url(name) for name in SERVICES}
                person = Person(urls, story.MUNICIPALITY, login.login, http)
                await person.log_in(login.password)
                assert login.role in person.roles
