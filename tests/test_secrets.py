"""Encryption at rest and redaction: what is secret is readable nowhere."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.cli import main
from app.secrets import (
    REDACTED,
    SecretsError,
    Vault,
    cookie_key,
    new_key,
    open_vault,
    redact,
    url_token,
    write_private,
)
from app.settings import ROOT, Settings

SECRET = "correct-horse-battery"


@given(st.binary(max_size=500))
@hypothesis_settings(max_examples=30, deadline=None, derandomize=True)
def test_what_is_sealed_opens_again_byte_for_byte(clear: bytes) -> None:
    vault = Vault([new_key()])
    sealed = vault.seal(clear)
    assert vault.open(sealed) == clear
    assert len(clear) < 8 or clear not in sealed
    assert vault.seal(clear) != sealed


def test_keys_are_rotated_newest_first() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(b"x")
    both = Vault([new, old])
    assert both.open(sealed) == b"x"
    assert Vault([new]).open(both.seal(b"y")) == b"y"
    with pytest.raises(SecretsError, match="MCHUB_SECRET_KEYS"):
        Vault([new]).open(sealed)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-4], lambda s: b"A" + s[1:], lambda s: b"", lambda s: s[:-10] + b"AAAAAAAAA="]
)
def test_what_was_changed_does_not_open(change: object) -> None:
    vault = Vault([new_key()])
    with pytest.raises(SecretsError):
        vault.open(change(vault.seal(b"x")))  # type: ignore[operator]


@pytest.mark.parametrize("keys", [[], ["short"], [new_key(), "x"], ["é" * 44], ["="], [""]])
def test_a_key_that_is_none_is_said_to_be_malformed(keys: list[str]) -> None:
    with pytest.raises(SecretsError, match="MCHUB_SECRET_KEYS"):
        Vault(keys)


def test_keys_of_the_setting_are_taken_as_given(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    vault = open_vault(Settings(data=tmp_path, secret_keys=SecretStr(f" {first}, {second} ,")))
    assert vault.open(Vault([second]).seal(b"x")) == b"x"
    assert not (tmp_path / "keys").exists()


def test_without_a_setting_a_key_is_made_once_that_only_the_owner_reads(tmp_path: Path) -> None:
    given = Settings(data=tmp_path / "data")
    sealed = open_vault(given).seal(b"x")
    assert open_vault(given).open(sealed) == b"x"
    kept = tmp_path / "data" / "keys"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()] == [0o600]


def test_of_many_who_start_at_once_all_get_the_same_keys(tmp_path: Path) -> None:
    given = Settings(data=tmp_path)
    for make in (cookie_key, url_token):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _, make=make: make(given), range(16)))) == 1
    assert cookie_key(given) != url_token(given)
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["cookie", "token"]


def test_a_private_file_is_whole_and_only_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(path, b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_private_file_that_many_write_at_once_is_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([65 + i]) * 10_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_private(path, content), contents * 5))
    assert path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_private_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_private(tmp_path / "folder", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


NAMES = [
    "password", "OS_PASSWORD", "guest_passwd", "token", "X-Auth-Token", "Authorization", "cookie", "Set-Cookie",
    "secret",
    "secrets", "credential", "OS_APPLICATION_CREDENTIAL_SECRET", "eyaml_key", "private_key", "api_key", "apikey",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [SECRET, SECRET.encode(), [SECRET], {"guest": SECRET}, ({"a": [SECRET]},), {SECRET}])
def test_a_value_under_a_secret_name_is_redacted_however_deep(name: str, value: object) -> None:
    assert redact(name, value) == REDACTED
    found = redact("event", {"inner": [{name: value}], "hostname": "a.b"})
    assert SECRET not in str(found)
    assert "a.b" in str(found)


def test_what_is_no_secret_stays() -> None:
    for value in ("a.b", 5, None, True, ["x"], {"a": 1}):
        assert redact("hostname", value) == value
    for value in (None, "", False, True):
        assert redact("token", value) == value


PROGRAM = """
import logging, sys
from app.logs import configure_logging, get_logger
from app.settings import Settings
configure_logging(Settings(log_format=sys.argv[1], log_level="DEBUG"))
log = get_logger("test")
secret = "correct-horse-battery"
log.info("signed in", hostname="a.b", password=secret, headers={"Authorization": secret})
logging.getLogger("library").warning("a library says %s", "hello")
try:
    raise RuntimeError("the wheel came off")
except RuntimeError:
    log.exception("failed", credential={"OS_PASSWORD": secret})
logging.getLogger("urllib3").info("chatter")
"""


def logged(form: str) -> str:
    """What the program writes to standard error."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, form], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr


def test_logs_are_one_json_object_a_line_without_secrets() -> None:
    text = logged("json")
    assert SECRET not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["event"] for event in events] == ["signed in", "a library says hello", "failed"]
    assert events[0]["password"] == REDACTED
    assert events[0]["headers"] == {"Authorization": REDACTED}
    assert (events[0]["hostname"], events[0]["level"], events[0]["logger"]) == ("a.b", "info", "test")
    assert "the wheel came off" in events[2]["exception"]
    assert events[0]["timestamp"].endswith("Z")


def test_logs_for_a_person_have_no_secrets_either() -> None:
    text = logged("text")
    assert SECRET not in text
    assert "signed in" in text
    assert "the wheel came off" in text


def test_a_fresh_key_is_printed_for_the_setting() -> None:
    printed = CliRunner().invoke(main, ["keys", "new"]).output.strip()
    assert Vault([printed]).open(Vault([printed]).seal(b"x")) == b"x"
