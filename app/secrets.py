"""Encryption at rest and redaction.

What is secret (credentials, passwords, Terraform's state) is kept encrypted with Fernet (AES-128-CBC and HMAC-SHA256);
several keys may be given, the newest first, so that keys can be rotated.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.settings import Settings

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(r"(?i)(passw|secret|token|credential|private|api_?key|authorization|cookie|eyaml)")


class SecretsError(Exception):
    """A key is malformed, or something kept cannot be opened with the keys given."""


class Vault:
    """Seals and opens what must not be readable at rest."""

    def __init__(self, keys: list[str]) -> None:
        """`keys`: Fernet keys (32 bytes, URL-safe base64), newest first.

        Raises:
            SecretsError: there is no key, or one is malformed.
        """
        if not keys:
            raise SecretsError("there is no key: neither in MCHUB_SECRET_KEYS nor in <data>/keys/secret")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise SecretsError(
                "a key in MCHUB_SECRET_KEYS, or in <data>/keys/secret, is malformed: each is 32 bytes "
                "in URL-safe base64, as `mchub keys new` prints it"
            ) from error

    def seal(self, clear: bytes) -> bytes:
        """Encrypt."""
        return self._fernet.encrypt(clear)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt.

        Raises:
            SecretsError: no key fits, or the bytes were changed.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise SecretsError(
                "a kept secret cannot be opened: the key that sealed it must be in MCHUB_SECRET_KEYS "
                "(or, if that is unset, in <data>/keys/secret)"
            ) from error


def new_key() -> str:
    """A fresh key."""
    return Fernet.generate_key().decode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads (0600), whole or not at all, whoever else writes it at the same time."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def keep_private(folder: Path, names: Iterable[str]) -> None:
    """Make a folder, or bring it to 0700, and those of the files in it that exist to 0600.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in (folder / name for name in names):
        if path.exists():
            path.chmod(0o600)


def _kept(path: Path) -> str:
    """The secret in `path`, made there once; two processes that start together get the same one."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        first = path.with_name(f".{path.name}.{new_key()}")
        write_private(first, new_key().encode() + b"\n")
        try:
            os.link(first, path)
        except FileExistsError:
            pass
        finally:
            first.unlink()
    return path.read_text(errors="replace").strip()


def open_vault(settings: Settings) -> Vault:
    """The vault of this hub: keys from the setting, else one kept in `<data>/keys/secret` (0600)."""
    if settings.secret_keys is not None:
        return Vault([key.strip() for key in settings.secret_keys.get_secret_value().split(",") if key.strip()])
    return Vault([key for key in _kept(settings.data / "keys" / "secret").split() if key])


def cookie_key(settings: Settings) -> str:
    """The key that signs session cookies, kept in `<data>/keys/cookie`."""
    return _kept(settings.data / "keys" / "cookie")


def url_token(settings: Settings) -> str:
    """The start-up token, fit for a URL, kept in `<data>/keys/token`."""
    return _kept(settings.data / "keys" / "token").rstrip("=")


def redact(name: str, value: object) -> object:
    """`value`, unless `name` says that it is a secret."""
    if value and not isinstance(value, bool) and _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, dict):
        return {key: redact(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(name, inner) for inner in value]
    return value
