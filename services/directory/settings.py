"""Settings of directory."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """Prefix ``TAIWA_DIRECTORY_``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_DIRECTORY_", extra="ignore", frozen=True)

    port: int = 8101
    signing_key: SecretStr | None = Field(
        default=None, description="private Ed25519 JWK that signs tokens; demo and test make their own without it"
    )
