"""HTTP API of directory."""

from services.directory.routes import access, clock, people, sections, tokens, transfers, years

ROUTERS = (
    tokens.router,
    sections.router,
    people.router,
    transfers.router,
    years.router,
    access.router,
    clock.router,
)
