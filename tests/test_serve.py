"""`mchub serve`: what it writes is for its owner only; what keeps it from starting is said in words."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from app import create_app
from app.db import db
from app.secrets import new_key
from app.serving import prepare
from app.settings import ROOT, Settings
from tests.processes import Hub, clean_environment, free_port, wait_until

SECRET = "correct-horse-battery"


def refusal(data: Path, **settings: str) -> str:
    """What `mchub serve` says when it refuses to start: words, no traceback, exit code 1."""
    ended = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "serve"],
        cwd=ROOT,
        env=clean_environment(MCHUB_DATA=str(data), MCHUB_PORT=str(free_port()), **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1, said
    assert "Traceback" not in said
    assert "\nError: " in f"\n{said}"
    return said


def test_settings_that_cannot_be_used_are_all_named_without_their_values(tmp_path: Path) -> None:
    said = refusal(tmp_path, MCHUB_WEB_WORKERS=SECRET, MCHUB_GRACE_SECONDS="-1")
    assert "MCHUB_WEB_WORKERS: " in said
    assert "MCHUB_GRACE_SECONDS: " in said
    assert SECRET not in said


def test_a_malformed_key_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, MCHUB_SECRET_KEYS=SECRET)
    assert "MCHUB_SECRET_KEYS" in said
    assert "mchub keys new" in said
    assert SECRET not in said


def test_a_key_file_that_is_garbage_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secret").write_bytes(b"\xff\xfe\x00")
    assert "<data>/keys/secret" in refusal(tmp_path)


def test_another_key_than_the_database_was_sealed_with_is_said_so(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(Settings, "cloud_environment", {"OS_AUTH_URL": "https://x", "OS_PASSWORD": "s"})
    settings = Settings(data=tmp_path)
    application = create_app(settings)
    prepare(application, settings)
    assert "the key that sealed it" in refusal(tmp_path, MCHUB_SECRET_KEYS=new_key())


def test_a_database_that_is_garbage_is_named(tmp_path: Path) -> None:
    (tmp_path / "mchub.sqlite3").write_bytes(b"garbage " * 1000)
    assert str(tmp_path / "mchub.sqlite3") in refusal(tmp_path)


@pytest.mark.parametrize("url", [f"x://ada:{SECRET}@db/hub", f"{SECRET}@db", f"postgresql+nothing://ada:{SECRET}@db/x"])
def test_a_database_url_that_is_none_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    said = refusal(tmp_path, MCHUB_DATABASE_URL=url)
    assert "MCHUB_DATABASE_URL" in said
    assert SECRET not in said


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(tmp_path / "file" / "data")
    assert str(tmp_path / "file") in said
    assert "MCHUB_DATA" in said


def test_without_a_folder_of_templates_it_says_so(tmp_path: Path) -> None:
    assert "MCHUB_TEMPLATES" in refusal(tmp_path, MCHUB_TEMPLATES=str(tmp_path / "none"))


def left_open(data: Path) -> None:
    """What an earlier hub left readable for all."""
    settings = Settings(data=data)
    application = create_app(settings)
    prepare(application, settings)
    with application.app_context():
        db.engine.dispose()
    (data / "dispatcher.lock").touch()
    for path in data.iterdir():
        if path.is_file():
            path.chmod(0o644)
    data.chmod(0o755)


@pytest.fixture(params=["fresh", "left open"])
def hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A hub that runs under a umask that hides nothing."""
    data, port = tmp_path / "data", free_port()
    if request.param == "left open":
        data.mkdir()
        left_open(data)
    before = os.umask(0o022)
    try:
        hub = Hub(data, port, clean_environment(MCHUB_DATA=str(data), MCHUB_PORT=str(port))).start()
    finally:
        os.umask(before)
    yield hub
    hub.stop()


def test_what_the_hub_keeps_is_for_its_owner_only(hub: Hub) -> None:
    assert hub.get("/api/clusters").status == 200
    wait_until(lambda: (hub.data / "dispatcher.lock").exists(), "a dispatcher leads")
    assert stat.S_IMODE(hub.data.stat().st_mode) == 0o700
    kept = [path for path in hub.data.rglob("*") if path.name != "hub.log"]
    assert {"mchub.sqlite3", "dispatcher.lock", "doorbell"} <= {path.name for path in kept}
    assert [path for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
