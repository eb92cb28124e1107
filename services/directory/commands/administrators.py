"""The first administrator of a town: for the command line, which works on the database itself.

    link = await create_admin(database, CreateAdmin(municipality="999997", name="みどり町", kana="ミドリマチ",
                                                    login="admin", section_code="1020", section_name="総合政策課"))
    print(link.link_token, link.expires_at)     # POST /passwords {"link_token": …, "password": …}

``database`` is :meth:`chassis.database.Database.connect` as role ``api`` of ``directory``. Called again it changes
nothing but the link: a lost one is replaced this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pydantic import BaseModel

from chassis.clocks import machine_now
from chassis.database import Database
from chassis.municipality import municipality as verified
from chassis.transaction import Actor, Transaction, new_id
from services.directory.commands.accounts import OpenAccount, add_account
from services.directory.commands.imports import section_created
from services.directory.commands.passwords import new_token, token_hash
from services.directory.commands.publication import publish
from services.directory.commands.roles import GrantRole, grant_role
from services.directory.domain.access import LINK_LIFETIME
from services.directory.domain.people import Change, Person, Posting
from services.directory.domain.sections import DEFAULT_HEAD_POST, Section
from services.directory.repository import access
from services.directory.repository import municipality as towns
from services.directory.repository import people as people_kept
from services.directory.repository import sections as sections_kept
from taiwa_contracts.directory import MunicipalityRegisteredV1


@dataclass(frozen=True, slots=True)
class CreateAdmin:
    """A town and who administers it. Section and person are found by code and number, or made.

    Give those that stand in the files which will be imported, so that the import finds them. ``effective_from``: since
    when section and person exist (``None``: today).
    """

    municipality: str
    name: str
    kana: str
    login: str = "admin"
    fictional: bool = False
    section_code: str = "0000"
    section_name: str = "情報システム担当"
    section_order: int = 0
    number: str = "admin"
    person_name: str = "管理者"
    person_kana: str = "カンリシャ"
    mail: str | None = None
    effective_from: date | None = None


class AdminCreated(BaseModel):
    """The one-time link for the administrator's password, valid until ``expires_at``."""

    municipality: str
    login: str
    link_token: str
    expires_at: datetime


async def create_admin(database: Database, command: CreateAdmin) -> AdminCreated:
    """Register the town if need be, and give its administrator a one-time link.

    Raises:
        ValueError: the municipality's code is malformed; the message gives the right check digit.
        Refusal: the login is somebody else's, or the person has left.
    """
    town = towns.Municipality(verified(command.municipality), command.name, command.kana, command.fictional)
    async with database.transaction(town.code, Actor("system", "create_admin")) as tx:
        if await towns.insert_municipality(tx.connection, town):
            event = MunicipalityRegisteredV1(code=town.code, name=town.name, kana=town.kana, fictional=town.fictional)
            tx.emit(event, version=1)
        await towns.lock_municipality(tx.connection, tx.municipality)
        person = await _person(tx, command)
        await grant_role(tx, GrantRole(person.person_id, "admin"))
        account = await access.account_of_person(tx.connection, tx.municipality, person.person_id)
        if account is None:
            account = await add_account(tx, OpenAccount(person.person_id, command.login))
        token, expires_at = new_token(town.code), machine_now() + LINK_LIFETIME
        await access.replace_link(tx.connection, tx.municipality, account.account_id, token_hash(token), expires_at)
    return AdminCreated(municipality=town.code, login=account.login, link_token=token, expires_at=expires_at)


async def _section(tx: Transaction, command: CreateAdmin) -> Section:
    sections = await sections_kept.lock_sections(tx.connection, tx.municipality)
    for each in sections.values():
        if each.code == command.section_code and each.closed_on is None:
            return each
    section = Section(
        section_id=new_id(),
        version=1,
        code=command.section_code,
        name=command.section_name,
        kind="課",
        appointing_authority="町長",
        display_order=command.section_order,
        created_on=command.effective_from or tx.today,
        head_post=DEFAULT_HEAD_POST,
    )
    await sections_kept.save_sections(tx.connection, tx.municipality, [section])
    await sections_kept.save_names(tx.connection, tx.municipality, [section], section.created_on)
    tx.emit(section_created(section), version=1)
    return section


async def _person(tx: Transaction, command: CreateAdmin) -> Person:
    known = await people_kept.lock_people_by_number(tx.connection, tx.municipality, [command.number])
    if command.number in known:
        return known[command.number]
    effective_from = command.effective_from or tx.today
    person = Person(
        person_id=new_id(),
        version=1,
        state_version=1,
        name=command.person_name,
        kana=command.person_kana,
        mail=command.mail,
        posting=Posting((await _section(tx, command)).section_id, "管理者", full_time=True, employment_kind="正規"),
        posted_on=effective_from,
        joined_on=effective_from,
    )
    change = Change("joined", None, person, effective_from, command.number)
    await people_kept.save_changes(tx.connection, tx.municipality, [change], tx.now)
    publish(tx, [change])
    return person
