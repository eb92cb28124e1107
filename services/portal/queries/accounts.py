"""Accounts, roles that were given, and links for a first password."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class Account(BaseModel):
    """An account."""

    account_id: str
    person_id: str
    login: str
    name: str
    section_name: str | None
    locked: bool
    has_password: bool


class GrantedRole(BaseModel):
    """A role that an administrator gave."""

    person_id: str
    role: str


class Link(BaseModel):
    """A one-time link for a first password."""

    account_id: str
    link_token: str
    expires_at: datetime
