"""The sandbox's own API, `/sandbox/...`: what an operator, or a test, does to the cloud.

It asks for the token that the cloud keeps in `<data>/admin-token` (0600), in the header `X-Sandbox-Token`.

    GET    /sandbox/                      how the cloud is tuned, its quotas, its faults, how many records it holds
    PATCH  /sandbox/tuning                {"boot_seconds": 2, "delete_seconds": .., "volume_seconds": ..,
    "latency_seconds": ..}
    PATCH  /sandbox/quotas                {"compute": {"instances": 3}, "network": {...}, "volume": {...}},
    "project": name
    POST   /sandbox/faults                a fault rule (see `faults.py`); its id comes back
    DELETE /sandbox/faults[/<id>]         one rule, or all
    POST   /sandbox/offers                {"flavors": 300, "images": 2000}: as many more, small ones, for a big cloud
    POST   /sandbox/tokens/revoke         ends every token, as if the credentials had been revoked
"""

import hmac
from dataclasses import asdict

from flask import Blueprint, current_app, request

from . import faults, quotas, seed
from .cloud import Tuning
from .errors import BadRequestError, NotFoundError, UnauthorizedError
from .identity.models import Project, Token
from .wire import Json, Reply, body, cloud

blueprint = Blueprint("admin", __name__, url_prefix="/sandbox")


@blueprint.before_request
def only_with_the_admin_token() -> None:
    given = request.headers.get("X-Sandbox-Token", "")
    if not hmac.compare_digest(given.encode(), current_app.config["ADMIN_TOKEN"].encode()):
        raise UnauthorizedError("The sandbox's admin token is required (X-Sandbox-Token).")


@blueprint.get("/")
def overview() -> Reply:
    return {
        "tuning": asdict(cloud().tuning),
        "quotas": [asdict(quota) for quota in cloud().table(quotas.Quota)],
        "faults": [asdict(rule) for rule in cloud().table(faults.FaultRule)],
    }


@blueprint.patch("/tuning")
def tune() -> Reply:
    table = cloud().table(Tuning)
    try:
        tuning = table.adapter.validate_python({**asdict(cloud().tuning), **body(), "id": "tuning"})
    except ValueError as error:
        raise BadRequestError(f"Not a tuning: {error}") from error
    return asdict(table.put(tuning))


@blueprint.patch("/quotas")
def change_quotas() -> Reply:
    changes = body()
    name = changes.pop("project", "demo")
    projects = cloud().table(Project).where(name=name)
    if not projects:
        raise NotFoundError(f"No project {name}")
    for service, limits in changes.items():
        quotas.change(cloud(), service, projects[0].id, limits)
    return overview()


@blueprint.post("/faults")
def add_fault() -> Reply:
    rule: Json = asdict(faults.add(cloud(), **body()))
    return rule, 201


@blueprint.delete("/faults")
@blueprint.delete("/faults/<rule_id>")
def remove_faults(rule_id: str | None = None) -> Reply:
    table = cloud().table(faults.FaultRule)
    if rule_id is not None and table.get(rule_id) is None:
        raise NotFoundError(f"No fault {rule_id}")
    for rule in table:
        if rule_id in {None, rule.id}:
            table.drop(rule.id)
    return "", 204


@blueprint.post("/offers")
def add_offers() -> Reply:
    wanted = body()
    for kind in ("flavors", "images"):
        if not isinstance(wanted.get(kind, 0), int) or wanted.get(kind, 0) < 0:
            raise BadRequestError(f"{kind} must be a number from 0 up")
    seed.add_offers(cloud(), wanted.get("flavors", 0), wanted.get("images", 0))
    return "", 204


@blueprint.post("/tokens/revoke")
def revoke_tokens() -> Reply:
    tokens = cloud().table(Token)
    for token in tokens:
        tokens.drop(token.id)
    return "", 204
