"""Who there is."""

from dataclasses import dataclass, field

from ..store import Record

DOMAIN = {"id": "default", "name": "Default"}
REGION = "RegionOne"


@dataclass(frozen=True, kw_only=True)
class Project(Record):
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class User(Record):
    name: str
    secret_hash: str
    default_project_id: str | None = None
    enabled: bool = True
    grants: dict[str, list[str]] = field(default_factory=dict)  # project id -> names of roles


@dataclass(frozen=True, kw_only=True)
class Role(Record):
    name: str


@dataclass(frozen=True, kw_only=True)
class ApplicationCredential(Record):
    name: str
    secret_hash: str
    user_id: str
    project_id: str
    roles: list[str]
    description: str | None = None
    expires_at: float | None = None
    unrestricted: bool = False


@dataclass(frozen=True, kw_only=True)
class Token(Record):
    """A token that was given out; the id is the SHA-256 of what its holder sends."""

    user_id: str
    project_id: str
    roles: list[str]
    methods: list[str]
    audit_id: str
    issued_at: float
    expires_at: float
    application_credential_id: str | None = None


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    user_id: str
    project_id: str
    roles: frozenset[str]
    token: Token

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles
