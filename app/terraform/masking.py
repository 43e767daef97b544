"""Masking secrets in logs, byte for byte in length, so that offsets into a log stay true.

Logs may carry passwords: ``random_string`` and ``random_pet`` print ``[id=<the password>]`` in apply messages.
A secret is masked within its line, so masked text is only ever made of whole lines.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET_RESOURCE_TYPES = frozenset({"random_string", "random_pet", "random_password", "random_bytes"})
SHORTEST_SECRET = 4  # characters; masking anything shorter would make a log unreadable and guessable
_SHORTEST_LINE = 8  # of a secret of several lines
_BLOCK = 64 * 1024
_HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_MENTIONS_SECRET_TYPE = re.compile(rf"\b(?:{'|'.join(sorted(SECRET_RESOURCE_TYPES))})\b".encode())
_MESSAGE_ID = re.compile(rb'\[id=(.*?)\](?="|\s*$)')
_HOOK_ID = re.compile(rb'"id_value":\s*"((?:[^"\\]|\\.)*)"')


def mask(data: bytes, secrets: Collection[str]) -> bytes:
    """`data` (whole lines) with every secret in it, and every id of a secret type, replaced by as many ``*``."""
    return Masker(secrets).mask(data)


class Masker:
    """Masks in the forms in which Terraform prints a text: plain, JSON (Go's and others'), HCL."""

    def __init__(self, secrets: Collection[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile(b"|".join(re.escape(form) for form in longest_first)) if forms else None

    def mask(self, data: bytes) -> bytes:
        if self._known is not None:
            data = self._known.sub(_stars, data)
        if _MENTIONS_SECRET_TYPE.search(data) is None:
            return data
        return b"".join(_mask_ids(line) for line in data.splitlines(keepends=True))

    def mask_file(self, path: Path) -> None:
        """Rewrites a log that has ended, masked, in one step (0600)."""
        new = path.with_name(path.name + ".masked")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            for piece in _whole_lines(path):
                target.write(self.mask(piece))
        new.replace(path)


@dataclass(frozen=True)
class LogSlice:
    """Bytes of a log from an offset. `size`: how much of the log can be served now; `next_offset`: where to go on."""

    data: bytes
    next_offset: int
    size: int


def read_masked(path: Path, offset: int, masker: Masker, *, limit: int = 1024 * 1024, ended: bool = False) -> LogSlice:
    """At most `limit` masked bytes from `offset`. An unfinished last line waits, unless the log has `ended`.

    Any offset will do: the line that it falls into is masked from its beginning. A missing log is an empty one.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LogSlice(b"", offset, 0)
    with file:
        size = file.seek(0, os.SEEK_END)
        served = size if ended else _line_start(file.fileno(), size)
        end = min(served, offset + limit)
        if offset < 0 or offset >= end:
            return LogSlice(b"", offset, served)
        start, stop = _line_start(file.fileno(), offset), _line_end(file.fileno(), end, served)
        whole = masker.mask(os.pread(file.fileno(), stop - start, start))
    return LogSlice(whole[offset - start : end - start], end, served)


def _forms(secret: str) -> Iterator[bytes]:
    """The byte strings as which a secret can stand in one line of a log; of several lines, each line too."""
    lines = {line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE}
    for text in {secret, *lines}:
        for plain in {text, text.replace("${", "$${").replace("%{", "%%{")}:
            go = json.dumps(plain, ensure_ascii=False)[1:-1]
            for character, escape in _HTML_ESCAPES.items():
                go = go.replace(character, escape)
            quoted_twice = json.dumps(json.dumps(plain, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1]
            for form in (plain, json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], go, quoted_twice):
                if "\n" not in form:
                    yield form.encode("utf-8", "surrogatepass")


def _stars(found: re.Match[bytes]) -> bytes:
    return b"*" * len(found[0])


def _mask_ids(line: bytes) -> bytes:
    if _MENTIONS_SECRET_TYPE.search(line) is None:
        return line
    for pattern in (_MESSAGE_ID, _HOOK_ID):
        line = pattern.sub(_mask_group, line)
    return line


def _mask_group(found: re.Match[bytes]) -> bytes:
    before, after = found.start(1) - found.start(), found.end(1) - found.start()
    return found[0][:before] + b"*" * (after - before) + found[0][after:]


def _line_start(descriptor: int, offset: int) -> int:
    """The start of the line that the byte at `offset` belongs to."""
    while offset > 0:
        start = max(0, offset - _BLOCK)
        newline = os.pread(descriptor, offset - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        offset = start
    return 0


def _line_end(descriptor: int, offset: int, limit: int) -> int:
    """The end of the line that the byte before `offset` belongs to, newline included; `limit` at most."""
    position = offset - 1
    while position < limit:
        block = os.pread(descriptor, min(_BLOCK, limit - position), position)
        newline = block.find(b"\n")
        if newline >= 0:
            return position + newline + 1
        if not block:
            break
        position += len(block)
    return limit


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while lines := file.readlines(_BLOCK):
            yield b"".join(lines)
