"""Settings, read from the environment once, in each service's ``main``.

Every secret ``TAIWA_X`` may come as a file named by ``TAIWA_X_FILE`` instead; given both, starting is refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class FileSecretsSource(PydanticBaseSettingsSource):
    """Reads ``<PREFIX><FIELD>_FILE``: the field's value is the content of that file, without the last line end."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Value of one field, its name, and that it needs no decoding.

        Raises:
            ValueError: the value and the file are both given, or the file cannot be read.
        """
        del field
        name = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            return None, field_name, False
        if name in os.environ:
            raise ValueError(f"{name} and {name}_FILE are both set; keep one")
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except OSError as error:
            raise ValueError(f"{name}_FILE cannot be read: {error.strerror} ({path})") from error

    def __call__(self) -> dict[str, Any]:
        """All fields given by file."""
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[key] = value
        return found


class Settings(BaseSettings):
    """Base of all settings: environment variables and secret files, nothing else."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over secret files; no ``.env`` is read."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, FileSecretsSource(settings_cls)


class InstallationSettings(Settings):
    """What all services of one installation share (prefix ``TAIWA_``)."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_", extra="ignore", frozen=True)

    environment: Literal["production", "demo", "test"] = "production"
    prefix: str = Field(default="", pattern=r"^[a-z0-9_]*$", description="put before topics, groups, databases, roles")
    role_prefix: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]*$",
        description="put before roles instead; they belong to the whole PostgreSQL, so tests share one set of them",
    )
    postgres_host: str = "127.0.0.1"
    postgres_port: int = 5432
    kafka: str = Field(default="127.0.0.1:9092", description="bootstrap servers, comma separated")
    simulated_clock: bool = False
    directory_url: str = Field(default="http://127.0.0.1:8101", description="issuer of tokens and their keys")
    log_format: Literal["json", "text"] = "json"
    otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP endpoint; none: spans stay in the process")
    bind_host: str = "127.0.0.1"
    several_towns: bool = Field(
        default=False, description="what all towns share is let go on by the operator, not by a town's administrator"
    )

    def refuse_simulation_in_production(self) -> None:
        """Raise when the simulated clock is asked for in production.

        Raises:
            ValueError: with the sentence that mends it.
        """
        if self.simulated_clock and self.environment == "production":
            raise ValueError("TAIWA_SIMULATED_CLOCK is for demo and test only; unset it in production")


class ServiceSettings(Settings):
    """What every service has; a service's own settings subclass it with ``env_prefix="TAIWA_<SERVICE>_"``."""

    installation: InstallationSettings = Field(default_factory=InstallationSettings)
    port: int
    database_password: SecretStr = Field(description="of the service's two database roles, _api and _worker")
    api_connections: int = Field(default=8, ge=1, le=50)
    worker_connections: int = Field(default=4, ge=2, le=50)
    health_port: int | None = Field(default=None, description="of /health and /metrics where role api is not hosted")
