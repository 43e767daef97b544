"""Keystone's calls that a project's member makes."""

import secrets
import uuid
from typing import Any

from flask import Blueprint, Response, jsonify, request

from .. import stamps
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..wire import Json, Reply, body, caller, cloud, part, public, url
from .catalogue import catalogue
from .models import DOMAIN, ApplicationCredential, Project, Role, Token, User
from .tokens import revoke_of_credential, secret_hash, sign_in

blueprint = Blueprint("identity", __name__, url_prefix="/identity")


def version() -> Json:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": url("/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


@blueprint.get("/")
@public
def versions() -> Reply:
    return {"versions": {"values": [version()]}}, 300


@blueprint.get("/v3/")
@public
def version_3() -> Reply:
    return {"version": version()}


def role_document(name: str) -> Json:
    role = next(iter(cloud().table(Role).where(name=name)), None)
    return {"id": role.id if role else name, "name": name}


def token_document(token: Token, with_catalogue: bool = True) -> Json:
    user, project = cloud().table(User).get(token.user_id), cloud().table(Project).get(token.project_id)
    document: Json = {
        "methods": token.methods,
        "user": {
            "domain": DOMAIN,
            "id": token.user_id,
            "name": user.name if user else "",
            "password_expires_at": None,
        },
        "audit_ids": [token.audit_id],
        "expires_at": stamps.with_microseconds_z(token.expires_at),
        "issued_at": stamps.with_microseconds_z(token.issued_at),
        "project": {"domain": DOMAIN, "id": token.project_id, "name": project.name if project else ""},
        "is_domain": False,
        "roles": [role_document(name) for name in token.roles],
    }
    if with_catalogue:
        document["catalog"] = catalogue(cloud(), token.project_id)
    credential = cloud().table(ApplicationCredential).get(token.application_credential_id or "")
    if credential is not None:
        document["application_credential"] = {
            "id": credential.id,
            "name": credential.name,
            "restricted": not credential.unrestricted,
        }
    return {"token": document}


@blueprint.post("/v3/auth/tokens")
@public
def create_token() -> Response:
    text, token = sign_in(cloud(), body())
    response = jsonify(token_document(token, with_catalogue="nocatalog" not in request.args))
    response.status_code = 201
    response.headers["X-Subject-Token"] = text
    response.headers["Vary"] = "X-Auth-Token"
    return response


def subject() -> Token:
    """The token that the call is about. Raises NotFoundError."""
    text = request.headers.get("X-Subject-Token", "")
    if not text:
        raise BadRequestError("X-Subject-Token header is required")
    token = cloud().table(Token).get(secret_hash(text))
    if token is None or token.expires_at <= cloud().now:
        raise NotFoundError("Could not recognize Fernet token")
    if token.user_id != caller().user_id and not caller().is_admin:
        raise ForbiddenError("You are not authorized to perform the requested action: identity:validate_token.")
    return token


@blueprint.get("/v3/auth/tokens")
def show_token() -> Response:
    response = jsonify(token_document(subject(), with_catalogue="nocatalog" not in request.args))
    response.headers["X-Subject-Token"] = request.headers["X-Subject-Token"]
    return response


@blueprint.delete("/v3/auth/tokens")
def revoke_token() -> Reply:
    cloud().table(Token).drop(subject().id)
    return "", 204


@blueprint.get("/v3/auth/catalog")
def show_catalogue() -> Reply:
    links = {"self": url("/identity/v3/auth/catalog"), "previous": None, "next": None}
    return {"catalog": catalogue(cloud(), caller().project_id), "links": links}


def project_document(project: Project) -> Json:
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN["id"],
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": DOMAIN["id"],
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": url(f"/identity/v3/projects/{project.id}")},
    }


def listed(key: str, items: list[Json], path: str) -> Json:
    return {key: items, "links": {"next": None, "self": url(path), "previous": None}}


@blueprint.get("/v3/auth/projects")
@blueprint.get("/v3/users/<user_id>/projects")
def list_own_projects(user_id: str | None = None) -> Reply:
    user = own_user(user_id or caller().user_id)
    projects = [cloud().table(Project).get(project_id) for project_id in user.grants]
    return listed("projects", [project_document(each) for each in projects if each], request.path)


@blueprint.get("/v3/projects/<project_id>")
def show_project(project_id: str) -> Reply:
    project = cloud().table(Project).get(project_id)
    if project is None or (project_id != caller().project_id and not caller().is_admin):
        raise denied("get_project")
    return {"project": project_document(project)}


@blueprint.get("/v3/<any(projects,users,domains,roles,services,endpoints):kind>")
def list_of_administrators(kind: str) -> Reply:
    raise denied(f"list_{kind}")


@blueprint.get("/v3/regions")
def list_regions() -> Reply:
    region = {"id": "RegionOne", "description": "", "parent_region_id": None}
    return listed("regions", [region], "/identity/v3/regions")


def denied(rule: str) -> ForbiddenError:
    return ForbiddenError(f"You are not authorized to perform the requested action: identity:{rule}.")


def own_user(user_id: str) -> User:
    """The caller, when it is the caller that the path names. Raises ForbiddenError."""
    user = cloud().table(User).get(user_id)
    if user is None or user_id != caller().user_id:
        raise denied("get_user")
    return user


@blueprint.get("/v3/users/<user_id>")
def show_user(user_id: str) -> Reply:
    user = own_user(user_id)
    return {
        "user": {
            "id": user.id,
            "name": user.name,
            "domain_id": DOMAIN["id"],
            "default_project_id": user.default_project_id,
            "enabled": user.enabled,
            "options": {},
            "password_expires_at": None,
            "links": {"self": url(f"/identity/v3/users/{user.id}")},
        }
    }


def credential_document(credential: ApplicationCredential) -> Json:
    path = f"/identity/v3/users/{credential.user_id}/application_credentials/{credential.id}"
    return {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "user_id": credential.user_id,
        "roles": [{**role_document(name), "domain_id": None} for name in credential.roles],
        "expires_at": (stamps.with_microseconds(credential.expires_at)),
        "unrestricted": credential.unrestricted,
        "system": None,
        "links": {"self": url(path)},
    }


@blueprint.get("/v3/users/<user_id>/application_credentials")
def list_credentials(user_id: str) -> Reply:
    found = cloud().table(ApplicationCredential).where(user_id=own_user(user_id).id)
    name = request.args.get("name")
    items = [credential_document(each) for each in found if name in {None, each.name}]
    return listed("application_credentials", items, request.path)


@blueprint.post("/v3/users/<user_id>/application_credentials")
def create_credential(user_id: str) -> Reply:
    user, wanted = own_user(user_id), part("application_credential")
    if caller().token.application_credential_id is not None:
        raise denied("manage_api_keys")
    name = wanted.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 255:
        raise BadRequestError("Invalid input for field 'name'")
    if cloud().table(ApplicationCredential).where(user_id=user.id, name=name):
        raise ConflictError(
            "Conflict occurred attempting to store application_credential - Duplicate entry found with name "
            f"{name} for user {user.id}."
        )
    secret = str(wanted.get("secret") or secrets.token_urlsafe(64))
    credential = (
        cloud()
        .table(ApplicationCredential)
        .put(
            ApplicationCredential(
                id=uuid.uuid4().hex,
                name=name,
                description=wanted.get("description"),
                secret_hash=secret_hash(secret),
                user_id=user.id,
                project_id=caller().project_id,
                roles=_granted_roles(wanted.get("roles"), sorted(caller().roles)),
                expires_at=_expiry(wanted.get("expires_at")),
                unrestricted=bool(wanted.get("unrestricted", False)),
            )
        )
    )
    return {"application_credential": {**credential_document(credential), "secret": secret}}, 201


def _granted_roles(wanted: Any, held: list[str]) -> list[str]:
    """The roles asked for, which the caller must hold; all of the caller's when none is named."""
    if not wanted:
        return held
    by_id = {role_document(name)["id"]: name for name in held}
    names = [str(by_id.get(role.get("id"), role.get("name"))) for role in wanted if isinstance(role, dict)]
    for name in names:
        if name not in held:
            raise BadRequestError(f"Invalid application credential: Could not find role assignment with role: {name}.")
    return names


def _expiry(text: object) -> float | None:
    if text is None:
        return None
    try:
        moment = stamps.seconds(str(text))
    except ValueError as error:
        raise BadRequestError(f"Invalid timestamp '{text}'.") from error
    if moment <= cloud().now:
        raise BadRequestError("Invalid application credential: expires_at must be in the future")
    return moment


def _own_credential(user_id: str, credential_id: str) -> ApplicationCredential:
    credential = cloud().table(ApplicationCredential).get(credential_id)
    if credential is None or credential.user_id != own_user(user_id).id:
        raise NotFoundError(f"Could not find Application Credential: {credential_id}.")
    return credential


@blueprint.get("/v3/users/<user_id>/application_credentials/<credential_id>")
def show_credential(user_id: str, credential_id: str) -> Reply:
    return {"application_credential": credential_document(_own_credential(user_id, credential_id))}


@blueprint.delete("/v3/users/<user_id>/application_credentials/<credential_id>")
def delete_credential(user_id: str, credential_id: str) -> Reply:
    credential = _own_credential(user_id, credential_id)
    if caller().token.application_credential_id is not None:
        raise denied("manage_api_keys")
    cloud().table(ApplicationCredential).drop(credential.id)
    revoke_of_credential(cloud(), credential.id)
    return "", 204
