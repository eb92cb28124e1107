"""A notice's way to one person by one channel. Pure.

``delivered`` is said only where the channel proves it: a notice stands in the inbox of the portal. A mail that the
next server took over is ``handed_over``; whether it arrived is not known here. Whether it was read is a third fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from chassis.refusals import Refusal
from taiwa_contracts.notifications import Channel

State = Literal["waiting", "handed_over", "delivered", "failed", "cancelled"]
"""``cancelled``: the recipient was erased before it went out."""

CHANNELS: tuple[Channel, ...] = get_args(Channel)

BACK_OFF = (2, 10, 60, 300, 600)
"""Seconds before the second, third … attempt; the last one repeats."""

GIVE_UP_AFTER = timedelta(days=10)
"""A town is closed from 29 December to 3 January, and its mail server with it."""

TEXT_PATIENCE = timedelta(minutes=15)
"""How long a mail waits for a text that travels apart; then it goes without."""

LEASE = timedelta(seconds=120)
"""How long a claimed mail belongs to its sender (machine time)."""


class NotFailed(Refusal):
    """Only what failed is sent again, or looked at."""

    code = "notifications.not_failed"
    ja = "このお知らせは失敗していません。もう一度送る、確かめたことにする、のどちらも失敗したものだけにできます。"
    en = "Only a failed delivery can be retried or acknowledged."


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, for whom, and the ids and days its text is made from when it is shown or sent.

    No names and no free text beyond a title: those are looked up then, so that erasing a person erases them here.
    """

    template: str
    recipients: tuple[UUID, ...]
    target_kind: str
    target_id: str
    particulars: Mapping[str, str] = field(default_factory=dict)
    text_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row: event x recipient x channel. ``version`` counts the facts published about it."""

    delivery_id: UUID
    cause_event_id: UUID
    person_id: UUID
    channel: Channel
    template: str
    state: State
    attempts: int
    stored_at: datetime
    version: int
    reason: str | None = None
    attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. ``later``: worth trying again; ``never``: it cannot succeed; ``reason`` a stable code."""

    kind: Literal["handed_over", "later", "never", "erased"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is known of a person at the moment an attempt is settled. Not heard of: neither."""

    has_address: bool = False
    erased: bool = False
    known_without_address: bool = False


HANDED_OVER = Outcome("handed_over")
NO_ADDRESS = Outcome("never", "no_address")
BAD_ADDRESS = Outcome("never", "bad_address")
UNREADABLE = Outcome("never", "notice_unreadable")
ERASED = Outcome("erased", "person_erased")
ADDRESS_ARRIVED = Outcome("later", "address_arrived")
PERSON_UNKNOWN = Outcome("later", "person_unknown")
UNREACHABLE = Outcome("later", "unreachable")
SIGN_IN_REFUSED = Outcome("later", "sign_in_refused")
"""The fault lies in our settings, not in the mail: it waits until they are mended."""

_PERMANENT = 500


def answered(code: int) -> Outcome:
    """What a refusing reply of the mail server means (RFC 5321, 4.2.1): 5xx is final, 4xx is worth another try."""
    return Outcome("never" if code >= _PERMANENT else "later", f"smtp_{code}")


def overtaken(outcome: Outcome, recipient: Recipient) -> Outcome:
    """The outcome in the light of what became known of the recipient while the mail was with its sender."""
    if recipient.erased and outcome.kind != "handed_over":
        return ERASED
    return ADDRESS_ARRIVED if outcome == NO_ADDRESS and recipient.has_address else outcome


def after_attempt(delivery: Delivery, outcome: Outcome, now: datetime) -> Delivery:
    """The delivery after one more attempt; ``now`` is machine time."""
    tried = replace(delivery, attempts=delivery.attempts + 1, reason=outcome.reason, attempt_at=None)
    if outcome.kind == "handed_over":
        return replace(tried, state="handed_over", version=tried.version + 1)
    if outcome.kind == "erased":
        return replace(tried, state="cancelled", version=tried.version + 1)
    if outcome.kind == "never" or now - delivery.stored_at >= GIVE_UP_AFTER:
        return replace(tried, state="failed", version=tried.version + 1)
    pause = BACK_OFF[min(tried.attempts, len(BACK_OFF)) - 1]
    return replace(tried, attempt_at=now + timedelta(seconds=pause))


def cancel(delivery: Delivery) -> Delivery:
    """The delivery, which will not be made: its recipient was erased."""
    return replace(delivery, state="cancelled", reason=ERASED.reason, attempt_at=None, version=delivery.version + 1)


def require_failed(delivery: Delivery) -> None:
    """Refuse what did not fail.

    Raises:
        NotFailed
    """
    if delivery.state != "failed":
        raise NotFailed


def retry(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery as if it had just been stored; ``now`` is machine time.

    Raises:
        NotFailed
    """
    require_failed(delivery)
    return replace(delivery, state="waiting", attempts=0, reason=None, attempt_at=now, stored_at=now)
