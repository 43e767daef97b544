"""Signing in, and what a token stands for (Identity API v3, "Authentication and token management")."""

import base64
import hashlib
import hmac
import secrets
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, NotFoundError, UnauthorizedError
from ..store import Record
from .models import DOMAIN, ApplicationCredential, Caller, Project, Token, User

Json = dict[str, Any]
LIFETIME = 24 * 3600.0  # seconds, as `[token] expiration` of the reference cloud
REFUSED = "The request you have made requires authentication."


def secret_hash(secret: str) -> str:
    """For secrets that a machine drew (128 bits and more): such need no slow hash."""
    return hashlib.sha256(b"mchub sandbox\0" + secret.encode()).hexdigest()


def is_secret(secret: object, kept: str) -> bool:
    return isinstance(secret, str) and hmac.compare_digest(secret_hash(secret), kept)


def caller_of(cloud: Cloud, token_text: str) -> Caller:
    """Whose token this is. Raises UnauthorizedError."""
    token = cloud.table(Token).get(secret_hash(token_text)) if token_text else None
    if token is None or token.expires_at <= cloud.now:
        raise UnauthorizedError(REFUSED)
    return Caller(token.user_id, token.project_id, frozenset(token.roles), token)


def sign_in(cloud: Cloud, request: Json) -> tuple[str, Token]:
    """Carries out `POST /v3/auth/tokens`; the token's text and its record.

    Raises UnauthorizedError, BadRequestError, NotFoundError.
    """
    identity = request.get("auth", {}).get("identity")
    if not isinstance(identity, dict) or not isinstance(identity.get("methods"), list) or not identity["methods"]:
        raise BadRequestError("Invalid input for field 'auth': 'identity' is a required property")
    method = identity["methods"][0]
    given = identity.get(method)
    if method not in {"password", "application_credential", "token"} or not isinstance(given, dict):
        raise UnauthorizedError(f"Attempted to authenticate with an unsupported method: {method}.")
    if method == "application_credential":
        return _with_application_credential(cloud, given)
    if method == "password":
        user = _user_of_password(cloud, given.get("user") or {})
        methods, expires_at = ["password"], cloud.now + LIFETIME
    else:
        known = caller_of(cloud, str(given.get("id", ""))).token
        user = _required(cloud.table(User).get(known.user_id))
        methods, expires_at = [*dict.fromkeys([*known.methods, "token"])], known.expires_at
    project = _scope(cloud, request["auth"].get("scope"), user)
    return issue(cloud, user, project, user.grants[project.id], methods, expires_at)


def _user_of_password(cloud: Cloud, given: Json) -> User:
    user = _find_user(cloud, given)
    if user is None or not user.enabled or not is_secret(given.get("password"), user.secret_hash):
        raise UnauthorizedError(REFUSED)
    return user


def _find_user(cloud: Cloud, given: Json) -> User | None:
    if "id" in given:
        return cloud.table(User).get(str(given["id"]))
    if "name" not in given or not _is_our_domain(given.get("domain")):
        return None
    return next(iter(cloud.table(User).where(name=given["name"])), None)


def _is_our_domain(given: object) -> bool:
    return isinstance(given, dict) and (given.get("id") == DOMAIN["id"] or given.get("name") == DOMAIN["name"])


def _scope(cloud: Cloud, scope: object, user: User) -> Project:
    """The project that a token is asked for; without a scope it is the user's own."""
    if scope is None:
        project = cloud.table(Project).get(user.default_project_id or "")
    else:
        wanted = scope.get("project") if isinstance(scope, dict) else None
        if not isinstance(wanted, dict):
            raise UnauthorizedError(REFUSED)
        project = None
        if "id" in wanted:
            project = cloud.table(Project).get(str(wanted["id"]))
        elif _is_our_domain(wanted.get("domain")):
            project = next(iter(cloud.table(Project).where(name=wanted.get("name"))), None)
    if project is None or not project.enabled or project.id not in user.grants:
        raise UnauthorizedError(REFUSED)
    return project


def _with_application_credential(cloud: Cloud, given: Json) -> tuple[str, Token]:
    table = cloud.table(ApplicationCredential)
    if "id" in given:
        credential = table.get(str(given["id"]))
        if credential is None:
            raise NotFoundError(f"Could not find Application Credential: {given['id']}.")
    else:
        user = _find_user(cloud, given.get("user") or {})
        found = table.where(user_id=user.id, name=given.get("name")) if user else []
        if not found:
            raise UnauthorizedError(f"Could not find application credential: {given.get('name')}")
        credential = found[0]
    is_expired = credential.expires_at is not None and credential.expires_at <= cloud.now
    if is_expired or not is_secret(given.get("secret"), credential.secret_hash):
        raise UnauthorizedError(REFUSED)
    user = _required(cloud.table(User).get(credential.user_id))
    project = _required(cloud.table(Project).get(credential.project_id))
    expires_at = min(cloud.now + LIFETIME, credential.expires_at or float("inf"))
    methods = ["application_credential"]
    return issue(cloud, user, project, credential.roles, methods, expires_at, credential.id)


def issue(
    cloud: Cloud,
    user: User,
    project: Project,
    roles: list[str],
    methods: list[str],
    expires_at: float,
    credential_id: str | None = None,
) -> tuple[str, Token]:
    tokens = cloud.table(Token)
    for old in tokens:
        if old.expires_at <= cloud.now:
            tokens.drop(old.id)
    text = "gAAAAA" + secrets.token_urlsafe(132)
    token = Token(
        id=secret_hash(text),
        user_id=user.id,
        project_id=project.id,
        roles=list(roles),
        methods=methods,
        audit_id=base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="),
        issued_at=cloud.now,
        expires_at=expires_at,
        application_credential_id=credential_id,
    )
    return text, tokens.put(token)


def revoke_of_credential(cloud: Cloud, credential_id: str) -> None:
    """A deleted application credential takes its tokens with it."""
    for token in cloud.table(Token).where(application_credential_id=credential_id):
        cloud.table(Token).drop(token.id)


def _required(record: Record | None) -> Any:
    if record is None:
        raise UnauthorizedError(REFUSED)
    return record
