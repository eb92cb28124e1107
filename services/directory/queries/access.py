"""Accounts and roles, for administrators."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest

LIST_ACCOUNTS = """
SELECT account.account_id, account.person_id, account.login, person.name, section.name AS section_name,
       account.password_hash IS NOT NULL AS has_password, account.locked_at IS NOT NULL AS locked,
       failed.locked_until AS failures_lock_until,
       (SELECT max(link.expires_at) FROM one_time_links AS link
        WHERE link.municipality = $1 AND link.account_id = account.account_id) AS link_expires_at
FROM accounts AS account
JOIN people AS person USING (municipality, person_id)
JOIN sections AS section USING (municipality, section_id)
LEFT JOIN login_failures AS failed USING (municipality, login)
WHERE account.municipality = $1
  AND ($2::text IS NULL OR position($2 in account.login) > 0 OR position($2 in person.name) > 0)
  AND ($3::text IS NULL OR account.login > $3)
ORDER BY account.login LIMIT $4
"""

LIST_ROLES = """
SELECT granted.person_id, person.name, granted.role, granted.changed_on AS granted_on
FROM role_grants AS granted JOIN people AS person USING (municipality, person_id)
WHERE granted.municipality = $1 AND granted.held AND ($2::text IS NULL OR granted.role = $2)
  AND ($3::text IS NULL OR (granted.role, granted.person_id) > ($3, $4::uuid))
ORDER BY granted.role, granted.person_id LIMIT $5
"""


class AccountView(BaseModel):
    """An account. ``failures_lock_until``: locked out for a while by wrong passwords."""

    account_id: UUID
    person_id: UUID
    login: str
    name: str
    section_name: str
    has_password: bool
    locked: bool
    failures_lock_until: datetime | None
    link_expires_at: datetime | None


class RoleView(BaseModel):
    """A granted role; ``staff``, ``leader`` and ``section_head`` follow from facts and are not listed."""

    person_id: UUID
    name: str
    role: str
    granted_on: date


async def list_accounts(view: View, request: PageRequest, *, q: str | None) -> Page[AccountView]:
    """Accounts by login; ``q``: those whose login or name holds it."""
    (after,) = request.last(str) or (None,)
    rows = await view.connection.fetch(LIST_ACCOUNTS, view.municipality, q, after, request.limit + 1)
    page, following = page_of(rows, request, lambda row: (row["login"],))
    return Page(items=[AccountView(**dict(row)) for row in page], next_cursor=following)


async def list_roles(view: View, request: PageRequest, *, role: str | None) -> Page[RoleView]:
    """Granted roles."""
    rows = await view.connection.fetch(
        LIST_ROLES, view.municipality, role, *(request.last(str, UUID) or (None, None)), request.limit + 1
    )
    page, following = page_of(rows, request, lambda row: (row["role"], row["person_id"]))
    return Page(items=[RoleView(**dict(row)) for row in page], next_cursor=following)
