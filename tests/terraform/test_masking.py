"""No secret in a served log, and every offset stays true."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.terraform.masking import Masker, mask, read_masked

PASSWORD = 'p"<a>&\\é${x}'


def go_json(text: str) -> str:
    """As Terraform (Go) writes a string in its JSON log."""
    plain = json.dumps(text, ensure_ascii=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        json.dumps(PASSWORD),
        json.dumps(PASSWORD, ensure_ascii=False),
        go_json(PASSWORD),
        go_json(PASSWORD.replace("${", "$${")),
    ],
)
def test_a_secret_is_masked_in_each_form_in_which_terraform_prints_it(form: str) -> None:
    line = f'{{"@message": {form} }}\n'.encode()
    masked = mask(line, [PASSWORD])
    assert len(masked) == len(line)
    assert b"x}" not in masked
    assert masked.count(b"*") >= len(PASSWORD)


def test_what_is_short_or_empty_is_no_secret() -> None:
    assert mask(b"abc a\n", ["", "a", "abc"]) == b"abc a\n"
    assert mask(b"abc a\n", []) == b"abc a\n"


def test_the_longest_secret_wins() -> None:
    assert mask(b"password-long\n", ["password", "password-long"]) == b"*" * 13 + b"\n"


def test_each_line_of_a_secret_of_several_lines_is_masked() -> None:
    secret = "first-secret-line\nsecond-secret\n---"
    assert b"secret" not in mask(b"x first-secret-line y\nsecond-secret\n", [secret])
    assert mask(json.dumps(secret).encode() + b"\n", [secret]).count(b"*") == len(json.dumps(secret)) - 2
    assert mask(b"---\n", [secret]) == b"---\n"


HOOK = {"resource": {"resource_type": "random_string"}, "action": "create", "id_key": "id", "id_value": 'Pa]ss"wd'}
APPLY_COMPLETE = {
    "@message": 'module.c.random_string.p[0]: Creation complete after 0s [id=Pa]ss"wd]',
    "hook": HOOK,
    "type": "apply_complete",
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(APPLY_COMPLETE, separators=(",", ":")),
        json.dumps(APPLY_COMPLETE),
        'module.c.random_pet.guest_passwd[0]: Creation complete after 0s [id=Pa]ss"wd]',
        'random_password.p: Refreshing state... [id=Pa]ss"wd]',
    ],
)
def test_ids_that_are_passwords_are_masked_without_being_known(text: str) -> None:
    masked = mask(text.encode() + b"\n", [])
    assert b"wd" not in masked.replace(b"passwd", b"")
    assert len(masked) == len(text.encode()) + 1


def test_other_ids_stay() -> None:
    line = b'{"@message":"x.y: Creation complete [id=1234-5678]","hook":{"id_value":"1234-5678"}}\n'
    assert mask(line + b"random_string.p: [id=secret-1]\n", []) == line + b"random_string.p: [id=********]\n"


SECRETS = ["correct-horse", 'bätt"ery']
PARTS = ["correct-horse", "x", json.dumps(SECRETS[1]), "\n", "random_string.p: [id=hidden-id]\n", "é"]
LINES = st.lists(st.sampled_from(PARTS), max_size=40)


@given(LINES, st.lists(st.integers(1, 30), min_size=1, max_size=20), st.booleans())
def test_pieces_at_any_offsets_make_up_the_masked_log(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], limits: list[int], ended: bool
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes("".join(parts).encode())
    masker = Masker(SECRETS)
    whole = masker.mask(path.read_bytes())
    offset, served, turn = 0, b"", 0
    while piece := read_masked(path, offset, masker, limit=limits[turn % len(limits)], ended=ended):
        if not piece.data:
            break
        assert piece.next_offset == offset + len(piece.data)
        served, offset, turn = served + piece.data, piece.next_offset, turn + 1
    expected = whole if ended else whole[: whole.rfind(b"\n") + 1]
    assert served == expected
    assert piece.size == len(expected)


def test_an_unfinished_line_is_not_served_until_the_log_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ncorrect-ho")
    masker = Masker(SECRETS)
    assert read_masked(path, 0, masker).data == b"one\n"
    assert read_masked(path, 4, masker).data == b""
    path.write_bytes(b"one\ncorrect-horse\n")
    assert read_masked(path, 4, masker).data == b"*" * 13 + b"\n"
    assert read_masked(path, 10, masker).data == b"*" * 7 + b"\n"


def test_lines_longer_than_any_block_are_masked_from_their_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"short\n" + b"x" * 200_000 + b"correct-horse" + b"y" * 200_000 + b"\nend\n")
    piece = read_masked(path, 200_010, Masker(SECRETS), limit=100)
    assert piece.data == b"*" * 9 + b"y" * 91
    assert read_masked(path, 10**9, Masker(SECRETS)).data == b""
    assert read_masked(path, -1, Masker(SECRETS)).data == b""


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    assert read_masked(tmp_path / "log", 0, Masker([])).size == 0


def test_an_ended_log_is_rewritten_masked_with_the_same_length(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"correct-horse\n" * 10_000 + b"correct-horse")
    before = path.stat().st_size
    Masker(SECRETS).mask_file(path)
    assert path.stat().st_size == before
    assert b"horse" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
