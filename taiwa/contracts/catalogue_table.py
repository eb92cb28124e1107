"""The catalogue of events as the table that stands in ``contracts/README.md``."""

from __future__ import annotations

from taiwa.contracts.schemas import description
from taiwa_contracts.catalogue import EVENTS
from taiwa_contracts.topics import TOPICS

START = "<!-- catalogue: written by `taiwa contracts export` -->"
END = "<!-- end of catalogue -->"


def table() -> str:
    """One table per topic that integrators may read."""
    parts = []
    for topic in TOPICS:
        if topic.internal:
            continue
        rows = [
            f"| [`{event.TYPE}`](schemas/{event.TYPE}.json) | `{event.AGGREGATE}/{_key(event.KEY)}` "
            f"| {_headline(description(event))} |"
            for event in EVENTS
            if topic.name == event.TOPIC
        ]
        kind = " (compacted: the newest state of each key)" if topic.compacted else ""
        parts.append(
            f"### `{topic.name}`\n\n{topic.title}{kind}.\n\n"
            "| type | key, after `<municipality>/` | what it says |\n| --- | --- | --- |\n" + "\n".join(rows)
        )
    return "\n\n".join(parts)


def put_into(readme: str) -> str:
    """The README with the present table between its markers.

    Raises:
        ValueError: the markers are missing; put them back.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"contracts/README.md must hold the lines {START!r} and {END!r}")
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


def _headline(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def _key(fields: tuple[str, ...]) -> str:
    return ":".join(f"<{field}>" for field in fields) or "only"
