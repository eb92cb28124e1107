"""Logs, traces and metrics, set up once for the process; and what every request leaves behind of the three.

Logs are lines of JSON (or text) with the service, the municipality, the correlation id and the trace. They hold no
personal data: values of fields that could (``name``, ``mail``, ``body``, ``token`` …) are taken out, a request is
logged by its route's template without its query, and in production an exception by its kind and place, not its words.

A request's span continues the caller's ``traceparent``; ``Transaction`` writes the present one beside every event, the
relay carries it to Kafka, the consumer continues it. Spans leave the process only where ``TAIWA_OTLP_ENDPOINT`` is set.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import asyncpg
import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis.settings import InstallationSettings

REMOVED = "[removed]"
DENIED = frozenset(
    {
        *("name", "names", "kana", "mail", "email", "address", "phone", "login", "title", "text", "reason_text"),
        *("body", "payload", "value", "values", "query", "content", "note", "answer", "question"),
        *("password", "token", "secret", "authorization", "cookie", "key_material", "link"),
    }
)
"""Words of a log field's name that mark personal data or a secret; ``person_name`` and ``new_password`` have one."""


EventDict = MutableMapping[str, Any]


def remove_personal_data(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: takes out the values of denied fields, also within mappings."""
    for field, value in event.items():
        if field == "event":
            continue
        if field in DENIED or not DENIED.isdisjoint(field.lower().split("_")):
            event[field] = REMOVED
        elif isinstance(value, Mapping):
            event[field] = remove_personal_data(_logger, _method, dict(value))
    return event


def add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the present trace's id, so that a log line leads to its trace."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def tell_kind_and_place(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: an exception as its chain of kinds and places. Its words may quote somebody's data."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    chain = []
    while isinstance(error, BaseException):
        chain.append(_kind_and_place(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["fault"] = chain
    return event


def shorten_error(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: of ``error=repr(error)`` the kind only."""
    if isinstance(event.get("error"), str):
        event["error"] = event["error"].partition("(")[0]
    return event


def _kind_and_place(error: BaseException) -> dict[str, object]:
    told: dict[str, object] = {"kind": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, asyncpg.PostgresError):
        told["sqlstate"] = error.sqlstate
        told["constraint"] = error.constraint_name
    told["at"] = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]
    return told


class _AlreadyTold(logging.Filter):
    """Uvicorn repeats in full what was answered and logged here already."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Exception in ASGI application" not in record.getMessage()


def configure(installation: InstallationSettings, services: Sequence[str]) -> None:
    """Set up logs and traces of this process; called once, before anything is logged."""
    _configure_logs(installation)
    trace.set_tracer_provider(tracer_provider(installation, services))


def tracer_provider(installation: InstallationSettings, services: Sequence[str]) -> TracerProvider:
    """Makes spans for these services; sends them by OTLP/HTTP where the installation names an endpoint."""
    name = services[0] if len(services) == 1 else "taiwa"
    provider = TracerProvider(resource=Resource({"service.name": name, "service.namespace": "taiwa"}))
    if installation.otlp_endpoint:
        endpoint = installation.otlp_endpoint.rstrip("/")
        exporter = OTLPSpanExporter(endpoint if endpoint.endswith("/v1/traces") else f"{endpoint}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def shut_down() -> None:
    """Send what spans are left; at most a few seconds."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _configure_logs(installation: InstallationSettings) -> None:
    json = installation.log_format == "json"
    careful = installation.environment == "production"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
        remove_personal_data,
    ]
    renderer: list[structlog.typing.Processor]
    if json:
        faults = [shorten_error, tell_kind_and_place] if careful else [structlog.processors.format_exc_info]
        renderer = [*faults, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        renderer = [*([shorten_error, tell_kind_and_place] if careful else []), plain]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("taiwa").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_AlreadyTold())


def exposition() -> tuple[bytes, str]:
    """The metrics as Prometheus reads them, and the media type."""
    return generate_latest(), CONTENT_TYPE_LATEST
