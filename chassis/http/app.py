"""The application of a service: its own routes, and those that every service has."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel, Field

from chassis import health
from chassis.auth import Caller, TokenVerifier
from chassis.database import Database
from chassis.http import operations, problems
from chassis.http.dependencies import anybody
from chassis.http.limits import BodyLimit
from chassis.http.observation import Observation
from chassis.http.text import refuse_loose_json, refuse_nul
from chassis.http.views import Views
from chassis.http.work_items import WorkItem
from chassis.service import Service

_APPLIED = """
SELECT version FROM versions WHERE consumer = $1 AND municipality = $2 AND owner = $3 AND aggregate = $4
"""


_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)


class Applied(BaseModel):
    """Whether this service has applied a fact of another one."""

    applied: bool


def _operation_id(route: APIRoute) -> str:
    return route.name


def create_app(
    service: Service, database: Database, verifier: TokenVerifier, watched: health.Health | None = None
) -> FastAPI:
    """Build the FastAPI application of a service.

    ``database`` is the api role's; ``verifier`` holds the issuer's keys; ``watched`` is shown by ``/health``. OpenAPI
    3.1 stands at ``/openapi.json``.
    """
    app = FastAPI(
        title=f"taiwa {service.name}",
        summary=service.title,
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        responses=problems.PROBLEMS,
        dependencies=[Depends(refuse_loose_json), Depends(refuse_nul)],
        # Observation makes the one span; FastAPI's own telemetry would keep addresses, input values and messages.
        telemetry=_NO_TELEMETRY,
    )
    app.state.service = service
    app.state.database = database
    app.state.verifier = verifier
    app.state.resources = service.resources
    app.add_middleware(BodyLimit)
    app.add_middleware(Observation, service=service.name)
    problems.install(app)
    watched = watched or health.Health(service, ("api",), service.settings.installation, database, verifier)
    health.install(app, watched)
    for router in service.routers:
        app.include_router(router)
    if service.consumes:
        _add_applied(app, service)
    worker = watched.worker if operations.is_operated(service) else None
    _add_work_items(app, service, worker)
    if worker is not None:
        operations.install(app, worker, watched)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
    if service.extend is not None:
        service.extend(app)
    return app


def _add_work_items(app: FastAPI, service: Service, worker: Database | None) -> None:
    wanted = service.work_items
    if wanted is None:
        return

    @app.get("/work-items", tags=["work"])
    async def work_items(caller: Annotated[Caller, Depends(anybody)], views: Views) -> list[WorkItem]:
        """What this service wants from the caller today, the most urgent first."""
        async with views.of(caller) as view:
            items = await wanted(view, caller)
        return items if worker is None else [*items, *await operations.work_items(worker, service, caller)]


def _add_applied(app: FastAPI, service: Service) -> None:
    @app.get("/applied", tags=["work"])
    async def applied(
        caller: Annotated[Caller, Depends(anybody)],
        views: Views,
        owner: Annotated[str, Query(max_length=50, description="the service that published the fact")],
        aggregate: Annotated[str, Query(max_length=200, description="`<kind>/<id>`")],
        version: Annotated[int, Query(ge=1, le=2**62)],
    ) -> Applied:
        """Whether this service has applied that version of an aggregate; an answer's `Taiwa-Facts` names them."""
        async with views.of(caller) as view:
            known = await view.connection.fetchval(
                _APPLIED,
                service.name,
                view.municipality,
                owner,
                aggregate,
            )
        return Applied(applied=known is not None and known >= version)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes, openapi_version="3.1.0"
        )
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        definitions = _ProblemSchema.model_json_schema(ref_template="#/components/schemas/{model}")["$defs"]
        components.update(definitions)
        app.openapi_schema = schema
    return app.openapi_schema


class _ProblemSchema(BaseModel):
    """Carries the schema of problem details into OpenAPI's components."""

    problem: problems.ProblemDetails = Field()
