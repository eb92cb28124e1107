"""Who heads a section: recorded for a day, published on that day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from chassis.calendar import at
from chassis.transaction import Transaction
from services.directory.domain.people import Change
from services.directory.domain.sections import DEFAULT_HEAD_POST, Headship, publish_head
from services.directory.repository import sections as sections_kept
from taiwa_contracts.directory import SectionHeadAssignedV1

ANNOUNCE = "announce_head"


async def assign_heads(tx: Transaction, headships: Sequence[Headship]) -> None:
    """Record headships; those of today or earlier are published at once, later ones by a timer on their day."""
    if not headships:
        return
    await sections_kept.lock_sections(tx.connection, tx.municipality, [each.section_id for each in headships])
    await sections_kept.save_headships(tx.connection, tx.municipality, headships)
    present = [each for each in headships if each.effective_from <= tx.today]
    for each in headships:
        if each.effective_from > tx.today:
            tx.schedule(ANNOUNCE, f"section/{each.section_id}", at(each.effective_from, "00:00"))
        else:
            tx.cancel(ANNOUNCE, f"section/{each.section_id}")
    await _publish(tx, {each.section_id: each for each in present})


async def announce_head(tx: Transaction, aggregate: str) -> None:
    """Timer: publish who heads the section as of today."""
    section_id = UUID(aggregate.partition("/")[2])
    await _publish(tx, {section_id: Headship(section_id, None, "", tx.today)})


async def _publish(tx: Transaction, wanted: dict[UUID, Headship]) -> None:
    sections = await sections_kept.lock_sections(tx.connection, tx.municipality, list(wanted))
    heads = await sections_kept.heads_on(tx.connection, tx.municipality, list(wanted), tx.today)
    vacant = await sections_kept.vacant_since(tx.connection, tx.municipality, list(wanted), tx.today)
    changed = []
    for section in sections.values():
        head = heads.get(section.section_id)
        post = head.post if head else wanted[section.section_id].post or section.head_post
        if (after := publish_head(section, head.person_id if head else None, post)) is not None:
            changed.append(after)
    await sections_kept.save_sections(tx.connection, tx.municipality, changed)
    for after in changed:
        head = heads.get(after.section_id)
        since = head.effective_from if head else vacant.get(after.section_id, wanted[after.section_id].effective_from)
        event = SectionHeadAssignedV1(
            section_id=after.section_id,
            head_person_id=after.head_person_id,
            head_post=after.head_post or DEFAULT_HEAD_POST,
            effective_from=since,
        )
        tx.emit(event, version=after.version)


async def vacate_headships(tx: Transaction, changes: Iterable[Change]) -> None:
    """Who leaves or is moved heads the sections no more to which they no longer belong."""
    gone = {change.after.person_id: change for change in changes if change.kind in {"left", "transferred", "reverted"}}
    if not gone:
        return
    headed = await sections_kept.headed_by(tx.connection, tx.municipality, list(gone), tx.today)
    vacated = [
        Headship(section_id, None, post, gone[person_id].effective_from, gone[person_id].transfer_id)
        for section_id, person_id, post in headed
        if gone[person_id].kind == "left" or not gone[person_id].after.posting.belongs_to(section_id)
    ]
    await assign_heads(tx, vacated)


async def restore_headships(tx: Transaction, transfer_id: UUID) -> None:
    """The transfer was a mistake: who headed a section until then heads it again, unless somebody else does."""
    ended = await sections_kept.ended_by(tx.connection, tx.municipality, transfer_id)
    heads = await sections_kept.heads_on(tx.connection, tx.municipality, [each.section_id for each in ended], tx.today)
    await assign_heads(tx, [each for each in ended if each.section_id not in heads])
