"""What the contracts publish beside their models: fresh, complete, and found out when it is not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, ClassVar, Self

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from chassis.topics import PARTITIONS, TopicSpec, wanted_config
from taiwa import contracts
from taiwa.cli import app
from taiwa.contracts import samples
from taiwa_contracts import topics
from taiwa_contracts.catalogue import EVENTS
from taiwa_contracts.event import Event, State
from taiwa_contracts.leaders import LeaderAppointedV1
from tests.contract.repository import CONTRACTS, ROOT, SAMPLES

UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
APPOINTED = "taiwa.leaders.leader-appointed.v1.json"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A repository that holds nothing but a copy of the contracts."""
    shutil.copytree(CONTRACTS, tmp_path / "contracts", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return tmp_path


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_the_repository_has_no_problem() -> None:
    assert contracts.check(ROOT) == []


def test_export_writes_the_same_files_again(copied: Path) -> None:
    assert contracts.export(copied) == []


def test_a_schema_that_is_not_what_the_models_say_is_found_and_mended(copied: Path) -> None:
    schema = copied / "contracts" / "schemas" / APPOINTED
    edit(schema, required=[])
    assert contracts.check(copied) == [
        f"contracts/schemas/{APPOINTED} is not what the models say: run `taiwa contracts export` and commit the result"
    ]
    assert contracts.export(copied) == [schema]
    assert contracts.check(copied) == []


def test_the_command_tells_programs_what_is_stale_and_what_it_wrote(copied: Path) -> None:
    schema = copied / "contracts" / "schemas" / APPOINTED
    edit(schema, required=[])

    def run(verb: str) -> tuple[int, list[str]]:
        done = CliRunner().invoke(app, ["contracts", verb, "--root", str(copied), "--json"])
        return done.exit_code, json.loads(done.stdout)

    code, problems = run("check")
    assert code == 1
    assert APPOINTED in problems[0]
    assert run("export") == (0, [str(schema)])
    assert run("check") == (0, [])


def test_a_schema_of_no_event_is_found_and_taken_away(copied: Path) -> None:
    stray = copied / "contracts" / "schemas" / "taiwa.leaders.forgotten.v1.json"
    stray.write_text("{}", encoding="utf-8")
    assert "belongs to no event" in contracts.check(copied)[0]
    assert contracts.export(copied) == [stray]


def test_an_outdated_catalogue_and_asyncapi_are_found(copied: Path) -> None:
    readme = copied / "contracts" / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("leader-appointed.v1", "x"), encoding="utf-8")
    (copied / "contracts" / "asyncapi.yaml").unlink()
    assert [problem.partition(" is not ")[0] for problem in contracts.check(copied)] == [
        "contracts/asyncapi.yaml",
        "contracts/README.md",
    ]


def test_a_missing_sample_is_found(copied: Path) -> None:
    (copied / "contracts" / "samples" / APPOINTED).unlink()
    contracts.export(copied)
    assert "has no sample" in contracts.check(copied)[0]


def test_a_sample_whose_event_is_gone_is_found(copied: Path) -> None:
    shutil.copy(
        copied / "contracts" / "samples" / APPOINTED, copied / "contracts/samples/taiwa.leaders.leader-crowned.v1.json"
    )
    assert "the catalogue lost taiwa.leaders.leader-crowned.v1" in contracts.check(copied)[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"topic": "trainings.events"}, "topic is trainings.events and should be leaders.events"),
        ({"key": "113859/appointment/1"}, "key is 113859/appointment/1 and should be 999997/appointment/"),
        ({"headers": {"ce_specversion": "1.0"}}, "headers are missing: ce_id"),
        ({"value": {"section_id": "?"}}, "mend the model, not the sample"),
    ],
)
def test_a_sample_that_no_longer_fits_is_found(copied: Path, changes: dict[str, Any], sentence: str) -> None:
    edit(copied / "contracts" / "samples" / APPOINTED, **changes)
    contracts.export(copied)
    assert sentence in contracts.check(copied)[0]


def test_a_break_with_a_published_release_is_found(copied: Path) -> None:
    release = next((copied / "contracts" / "published").glob("*.json"))
    frozen = json.loads(release.read_text(encoding="utf-8"))
    frozen["taiwa.leaders.leader-appointed.v1"]["properties"]["seal"] = {"type": "string"}
    release.write_text(json.dumps(frozen), encoding="utf-8")
    assert "field seal was removed" in contracts.check(copied)[0]


def test_a_release_is_frozen_once(copied: Path) -> None:
    with pytest.raises(FileExistsError, match="raise the version"):
        contracts.freeze(copied)
    for release in (copied / "contracts" / "published").glob("*.json"):
        release.unlink()
    assert "run `python -m taiwa.contracts freeze`" in contracts.check(copied)[0]
    contracts.freeze(copied)
    assert contracts.check(copied) == []


def test_a_readme_without_markers_is_refused(copied: Path) -> None:
    (copied / "contracts" / "README.md").write_text("# bare", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold the lines"):
        contracts.check(copied)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_sample_is_a_real_message_and_obeys_the_published_schema(event: type[Event]) -> None:
    sample = SAMPLES[event.TYPE]
    schema = json.loads((CONTRACTS / "schemas" / f"{event.TYPE}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(sample.value)
    assert UUID7.match(sample.headers["ce_id"])
    assert UUID7.match(sample.headers["ce_correlationid"])
    assert int(sample.headers["ce_sequence"]) >= 1


def test_asyncapi_shows_every_topic_for_integrators_and_no_other() -> None:
    document = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert set(document["channels"]) == {topic.name for topic in topics.TOPICS if not topic.internal}
    shown = {message["name"] for message in document["components"]["messages"].values()}
    internal = {topic.name for topic in topics.TOPICS if topic.internal}
    assert shown == {event.TYPE for event in EVENTS if event.TOPIC not in internal}


@pytest.mark.parametrize(
    "topic", [topic for topic in topics.TOPICS if not topic.internal], ids=lambda topic: topic.name
)
def test_asyncapi_says_how_the_topic_is_really_made(topic: topics.Topic) -> None:
    document = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text(encoding="utf-8"))
    binding = document["channels"][topic.name]["bindings"]["kafka"]
    said = {
        name: value[0] if isinstance(value, list) else str(value)
        for name, value in binding["topicConfiguration"].items()
    }
    assert said.items() <= wanted_config(TopicSpec(topic.name, compacted=topic.compacted)).items()
    assert binding["partitions"] == topics.PARTITIONS == PARTITIONS


def test_asyncapi_refers_to_nothing_that_is_missing() -> None:
    text = (CONTRACTS / "asyncapi.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    for reference in re.findall(r"\$ref: '#/([^']+)'", text):
        node = document
        for step in reference.split("/"):
            node = node[step]


def test_a_fact_carries_no_address_and_no_free_text_of_a_person() -> None:
    for event in EVENTS:
        if not issubclass(event, State):
            assert not {"mail", "address", "phone", "body"} & set(event.model_fields), event.TYPE


def test_an_old_sample_that_a_newer_version_cannot_be_made_of_is_found() -> None:
    class SealedAppointmentV2(LeaderAppointedV1):
        TYPE: ClassVar[str] = "taiwa.leaders.leader-appointed.v2"
        PREVIOUS: ClassVar[type[Event] | None] = LeaderAppointedV1

        @classmethod
        def from_previous(cls, previous: LeaderAppointedV1) -> Self:
            raise ValueError(f"no seal on {previous.word}")

    (problem,) = samples._unread_versions(SealedAppointmentV2, SAMPLES)
    assert problem.startswith(f"samples/{APPOINTED}: SealedAppointmentV2.from_previous cannot read it; mend it")
