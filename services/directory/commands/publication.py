"""From what became of people to the facts about it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from chassis.transaction import Transaction
from services.directory.domain.people import Change
from taiwa_contracts.directory import (
    PersonStateV1,
    StaffChangedV1,
    StaffJoinedV1,
    StaffLeftV1,
    StaffTransferredV1,
    TransferRevertedV1,
)
from taiwa_contracts.event import Event


def publish(tx: Transaction, changes: Iterable[Change]) -> None:
    """Emit the fact of each change, and point at the person's state where that changed."""
    for change in changes:
        if (event := _event(change)) is not None:
            tx.emit(event, version=change.after.version)
        if change.before is None or change.after.state_version != change.before.state_version:
            tx.emit_state(PersonStateV1, f"person/{change.after.person_id}", version=change.after.state_version)


def _event(change: Change) -> Event | None:
    after, posting = change.after, change.after.posting
    if change.kind == "left":
        return StaffLeftV1(person_id=after.person_id, effective_from=change.effective_from)
    placed = {
        "person_id": after.person_id,
        "concurrent_section_ids": list(posting.concurrent),
        "post": posting.post,
        "full_time": posting.full_time,
        "effective_from": change.effective_from,
    }
    if change.kind == "joined":
        return StaffJoinedV1.model_validate({**placed, "section_id": posting.section_id})
    if change.kind == "changed":
        return StaffChangedV1.model_validate({**placed, "section_id": posting.section_id})
    if change.kind == "reverted":
        reverted = {"section_id": posting.section_id, "transfer_id": change.transfer_id}
        return TransferRevertedV1.model_validate({**placed, **reverted})
    if change.kind == "transferred":
        return StaffTransferredV1.model_validate(
            {
                **placed,
                "transfer_id": change.transfer_id,
                "from_section_id": _from(change),
                "to_section_id": posting.section_id,
            }
        )
    return None


def _from(change: Change) -> UUID:
    if change.before is None:
        raise ValueError("a transfer starts somewhere")
    return change.before.posting.section_id
