"""Use cases of deliveries: load, decide, save, emit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from chassis.clocks import machine_now
from chassis.refusals import NotFound
from chassis.transaction import Transaction
from services.notifications import domain
from services.notifications.domain import Delivery, Notice, Outcome
from services.notifications.repository import addresses, deliveries, inbox, mails
from taiwa_contracts.notifications import (
    Channel,
    NotificationDeliveredV1,
    NotificationFailedV1,
    NotificationHandedOverV1,
)


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the notice's recipients, by every channel, of the event that caused it."""

    cause_event_id: UUID
    notice: Notice


@dataclass(frozen=True, slots=True)
class SettleAttempt:
    """Record how an attempt to send a mail ended."""

    delivery_id: UUID
    lease: UUID
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RetryDelivery:
    """Send a failed mail again."""

    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class AcknowledgeDelivery:
    """Somebody has looked at a failed delivery. Without an address: at the person, for as long as they have none."""

    delivery_id: UUID
    by: UUID


@dataclass(frozen=True, slots=True)
class ReadNotice:
    """Say that a person read a notice of their inbox."""

    person_id: UUID
    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class ReadAll:
    """Say that a person read all of their inbox."""

    person_id: UUID


async def notify(tx: Transaction, command: Notify) -> None:
    """Store the deliveries; each event, recipient and channel has one, however often this runs."""
    added = await deliveries.add_deliveries(
        tx.connection,
        tx.municipality,
        command.notice,
        cause_event_id=command.cause_event_id,
        correlation_id=tx.correlation_id,
        created_at=tx.now,
    )
    for each in added:
        if each.channel == "in_app":
            event = NotificationDeliveredV1(
                delivery_id=each.delivery_id,
                cause_event_id=command.cause_event_id,
                person_id=each.person_id,
                channel=each.channel,
                template=command.notice.template,
            )
            tx.emit(event, version=1)


async def settle_attempt(tx: Transaction, command: SettleAttempt) -> None:
    """Record the attempt. Late is a no-op: the lease ran out and the mail is somebody else's by now."""
    # Before the delivery, as the consumer locks: what becomes of the person and of the mail come one after the other.
    recipient = await addresses.hold_recipient(tx.connection, tx.municipality, command.delivery_id)
    before = await mails.load_leased(tx.connection, tx.municipality, command.delivery_id, command.lease)
    if before is None:
        return
    outcome = domain.overtaken(command.outcome, recipient)
    after = domain.after_attempt(before, outcome, machine_now())
    await deliveries.save_delivery(tx.connection, tx.municipality, after)
    if outcome == domain.NO_ADDRESS and recipient.known_without_address:
        await addresses.acknowledge_addressless(tx.connection, tx.municipality, after.person_id, machine_now())
    if after.state == "handed_over":
        tx.emit(NotificationHandedOverV1(**_told(after)), version=after.version)
    elif after.state in ("failed", "cancelled"):
        reason = after.reason or "unknown"
        tx.emit(NotificationFailedV1(**_told(after), reason=reason), version=after.version)


async def retry_delivery(tx: Transaction, command: RetryDelivery) -> None:
    """Put a failed delivery back into the queue."""
    before = await deliveries.load_delivery(tx.connection, tx.municipality, command.delivery_id)
    if before is None:
        raise NotFound
    await deliveries.save_delivery(tx.connection, tx.municipality, domain.retry(before, machine_now()))


async def acknowledge_delivery(tx: Transaction, command: AcknowledgeDelivery) -> None:
    """Take a failure off the list of what needs a hand; it stays on record."""
    connection, municipality, now = tx.connection, tx.municipality, machine_now()
    it = await deliveries.load_delivery(connection, municipality, command.delivery_id)
    if it is None:
        raise NotFound
    domain.require_failed(it)
    if it.reason == domain.NO_ADDRESS.reason:
        await addresses.know_without_address(connection, municipality, it.person_id, command.by, now)
        await addresses.acknowledge_addressless(connection, municipality, it.person_id, now)
    else:
        await deliveries.acknowledge(connection, municipality, it.delivery_id, now)


async def follow_address(tx: Transaction, person_id: UUID) -> None:
    """An address has arrived: mails that failed for want of it go out; those too old for that need no hand any more."""
    connection, municipality, now = tx.connection, tx.municipality, machine_now()
    if not await addresses.lacked_address(connection, municipality, person_id):
        return
    await addresses.forget_without_address(connection, municipality, person_id)
    await addresses.resume_addressless(connection, municipality, person_id, now - domain.GIVE_UP_AFTER, now)
    await addresses.acknowledge_addressless(connection, municipality, person_id, now)


async def cancel_mails(tx: Transaction, person_id: UUID) -> None:
    """The person was erased: what still waits is cancelled now; a mail in a sender's hands, when it is settled."""
    await addresses.forget_without_address(tx.connection, tx.municipality, person_id)
    for waiting in await deliveries.waiting_for(tx.connection, tx.municipality, person_id, machine_now()):
        after = domain.cancel(waiting)
        await deliveries.save_delivery(tx.connection, tx.municipality, after)
        tx.emit(NotificationFailedV1(**_told(after), reason=after.reason or "unknown"), version=after.version)


async def read_notice(tx: Transaction, command: ReadNotice) -> datetime:
    """When the notice was first read."""
    read_at = await inbox.mark_read(tx.connection, tx.municipality, command.person_id, command.delivery_id, tx.now)
    if read_at is None:
        raise NotFound
    return read_at


async def read_all(tx: Transaction, command: ReadAll) -> int:
    """How many notices were unread until now."""
    return await inbox.mark_all_read(tx.connection, tx.municipality, command.person_id, tx.now)


class _Told(TypedDict):
    delivery_id: UUID
    cause_event_id: UUID
    person_id: UUID
    channel: Channel
    template: str


def _told(it: Delivery) -> _Told:
    """What every fact of a delivery says."""
    return {
        "delivery_id": it.delivery_id,
        "cause_event_id": it.cause_event_id,
        "person_id": it.person_id,
        "channel": it.channel,
        "template": it.template,
    }
