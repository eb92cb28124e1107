from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from chassis.database import database_name, role_name
from chassis.settings import InstallationSettings, ServiceSettings


class BoardSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TAIWA_BOARD_", extra="ignore", frozen=True)
    port: int = 8100


def test_a_secret_comes_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("TAIWA_BOARD_DATABASE_PASSWORD_FILE", str(tmp_path / "secret"))
    settings = BoardSettings()
    assert settings.database_password.get_secret_value() == "from a file"
    assert "from a file" not in repr(settings)


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAIWA_BOARD_DATABASE_PASSWORD", "a")
    monkeypatch.setenv("TAIWA_BOARD_DATABASE_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(ValueError, match="are both set; keep one"):
        BoardSettings()


def test_a_secret_s_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAIWA_BOARD_DATABASE_PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="TAIWA_BOARD_DATABASE_PASSWORD_FILE cannot be read"):
        BoardSettings()


def test_a_missing_secret_has_no_default() -> None:
    with pytest.raises(ValidationError, match="database_password"):
        BoardSettings()


@pytest.mark.parametrize("prefix", ["Town", "a-b", 'x"; --', "あ"])
def test_a_prefix_that_would_need_quoting_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError):
        InstallationSettings(prefix=prefix)


def test_roles_may_bear_a_prefix_of_their_own() -> None:
    alone = InstallationSettings(prefix="a_")
    shared = InstallationSettings(prefix="a_", role_prefix="b_")
    assert (database_name(alone, "leaders"), role_name(alone, "leaders", "api")) == ("a_leaders", "a_leaders_api")
    assert (database_name(shared, "leaders"), role_name(shared, "leaders", "api")) == ("a_leaders", "b_leaders_api")


def test_time_is_simulated_outside_production_only() -> None:
    InstallationSettings(environment="demo", simulated_clock=True).refuse_simulation_in_production()
    with pytest.raises(ValueError, match="unset it in production"):
        InstallationSettings(environment="production", simulated_clock=True).refuse_simulation_in_production()
