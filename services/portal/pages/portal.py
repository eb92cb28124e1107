"""What lives as long as the process: connections to the services, templates, assets, the town's clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel

from chassis.clocks import CivilClock, SimulatedTime, machine_now, monotonic
from services.portal.gateway import Gateway, Services, part
from services.portal.pages import events, troubles, wording

CLOCK_FRESH_SECONDS = 2.0

HERE = Path(__file__).parent.parent
STATIC = HERE / "static"
HTMX = Path(str(files("django_htmx"))) / "static" / "django_htmx" / "htmx-2.min.js"


class _ClockTold(BaseModel):
    civil_at: datetime


class Portal:
    """The objects that live as long as the process: connections, templates, the town's clock."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        simulated_clock: bool,
        cookie_secure: bool = False,
        municipality: str = "",
        contact: str = "",
    ) -> None:
        self.gateway = gateway
        self.cookie_secure = cookie_secure
        self.municipality = municipality
        self.contact = contact
        self.simulated_clock = simulated_clock
        self._clock = CivilClock()
        self._clock_asked = float("-inf")
        self.templates = _environment()

    async def close(self) -> None:
        """Close the connections to the services."""
        await self.gateway.close()

    async def now(self, token: str) -> datetime:
        """The town's time. Simulated, it is directory's, asked every two seconds; silent, the last known runs on."""
        if self.simulated_clock and token and monotonic() - self._clock_asked > CLOCK_FRESH_SECONDS:
            self._clock_asked = monotonic()
            asked = await part(Services(self.gateway, token).glance("directory", "/civil-clock", _ClockTold))
            if asked.content is not None:
                self._clock = CivilClock(SimulatedTime(asked.content.civil_at, machine_now()))
        return self._clock.now()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        day=wording.day_short,
        day_full=wording.day_full,
        day_era=wording.day_era,
        clock=wording.clock,
        moment=wording.moment_short,
        moment_full=wording.moment_full,
        person=wording.person,
        year=wording.fiscal_year_label,
        year_full=wording.fiscal_year_full,
        span=wording.span,
        event=events.event_words,
        event_name=events.event_name,
        expected=events.expected_words,
    )
    environment.globals.update(
        asset=_asset_address,
        due=wording.due,
        WORK=wording.WORK,
        COVERAGE=wording.COVERAGE,
        CASE=wording.CASE,
        ROLES=wording.ROLES,
        DESKS=wording.DESKS,
        SOURCES=wording.SOURCES,
        why_stopped=troubles.why_stopped,
        SCOPES=troubles.SCOPES,
        why=troubles.why,
    )
    return environment


ASSETS: Mapping[str, tuple[Path, str]] = {
    "app.css": (STATIC / "app.css", "text/css"),
    "app.js": (STATIC / "app.js", "text/javascript"),
    "htmx.js": (HTMX, "text/javascript"),
    "icon.svg": (STATIC / "icon.svg", "image/svg+xml"),
}
"""Everything a page loads besides itself."""

_fingerprints: dict[str, str] = {}


def _asset_address(name: str) -> str:
    """The address of an asset; it changes with its content, so browsers may keep it for ever."""
    if name not in _fingerprints:
        _fingerprints[name] = hashlib.sha256(ASSETS[name][0].read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={_fingerprints[name]}"
