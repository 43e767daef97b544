from collections.abc import Callable
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from .cluster import name
from .process import Sandbox


def sign_in(sandbox: Sandbox, identity: dict[str, Any], scope: dict[str, Any] | None = None) -> requests.Response:
    body: dict[str, Any] = {"auth": {"identity": identity}}
    if scope is not None:
        body["auth"]["scope"] = scope
    return requests.post(f"{sandbox.url}/identity/v3/auth/tokens", json=body, timeout=5)


def by_password(sandbox: Sandbox, **changes: str) -> dict[str, Any]:
    auth = sandbox.credentials()
    user = {"name": auth["username"], "password": auth["password"], "domain": {"name": "Default"}} | changes
    return {"methods": ["password"], "password": {"user": user}}


PROJECT = {"project": {"name": "demo", "domain": {"id": "default"}}}


def test_a_password_gives_a_scoped_token_with_the_catalogue(sandbox: Sandbox) -> None:
    answer = sign_in(sandbox, by_password(sandbox), PROJECT)

    assert answer.status_code == 201
    assert answer.headers["X-Subject-Token"].startswith("gAAAAA")
    token = answer.json()["token"]
    assert token["project"]["name"] == "demo"
    assert {each["type"] for each in token["catalog"]} == {"identity", "compute", "network", "image", "volumev3"}
    assert {end["region"] for each in token["catalog"] for end in each["endpoints"]} == {"RegionOne"}


@pytest.mark.parametrize("wrong", [{"password": "no"}, {"name": "nobody"}])
def test_wrong_credentials_are_refused_in_keystones_words(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    answer = sign_in(sandbox, by_password(sandbox, **wrong), PROJECT)

    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "code": 401,
            "message": "The request you have made requires authentication.",
            "title": "Unauthorized",
        }
    }


def test_a_project_that_is_not_the_users_is_refused(sandbox: Sandbox) -> None:
    scope = {"project": {"name": "another", "domain": {"id": "default"}}}
    assert sign_in(sandbox, by_password(sandbox), scope).status_code == 401


def test_an_application_credential_signs_in_by_id_and_by_name(sandbox: Sandbox) -> None:
    auth = sandbox.credentials("sandbox-app")
    secret = auth["application_credential_secret"]
    by_id = {"id": auth["application_credential_id"], "secret": secret}
    owner = {"name": "demo", "domain": {"name": "Default"}}
    by_name = {"name": "demo", "user": owner, "secret": secret}

    for given in (by_id, by_name):
        answer = sign_in(sandbox, {"methods": ["application_credential"], "application_credential": given})
        assert answer.status_code == 201
        assert answer.json()["token"]["application_credential"]["name"] == "demo"


def test_a_deleted_application_credential_takes_its_tokens_with_it(sandbox: Sandbox, conn: Connection) -> None:
    user = conn.current_user_id
    credential = conn.identity.create_application_credential(user, name("credential"))
    given = {"id": credential.id, "secret": credential.secret}
    identity = {"methods": ["application_credential"], "application_credential": given}
    token = sign_in(sandbox, identity).headers["X-Subject-Token"]
    headers = {"X-Auth-Token": token}
    assert requests.get(f"{sandbox.url}/compute/v2.1/servers", headers=headers, timeout=5).status_code == 200

    conn.identity.delete_application_credential(user, credential)

    assert requests.get(f"{sandbox.url}/compute/v2.1/servers", headers=headers, timeout=5).status_code == 401
    assert sign_in(sandbox, identity).status_code == 404


def test_an_application_credential_makes_no_other(sandbox: Sandbox) -> None:
    with sandbox.connect("sandbox-app") as conn:
        user = conn.current_user_id
        answer = conn.identity.post(
            f"/users/{user}/application_credentials", json={"application_credential": {"name": name("x")}}
        )
    assert answer.status_code == 403


def test_a_client_whose_token_was_revoked_signs_in_again(sandbox: Sandbox, conn: Connection) -> None:
    assert list(conn.compute.flavors())
    sandbox.admin.revoke_tokens()
    assert list(conn.compute.flavors())


@pytest.mark.parametrize(
    "service", ["compute/v2.1/servers", "network/v2.0/ports", "image/v2/images", "volume/v3/x/types"]
)
def test_no_token_is_no_entry(sandbox: Sandbox, service: str) -> None:
    answer = requests.get(f"{sandbox.url}/{service}", timeout=5)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize(
    "path", ["identity/", "identity/v3", "compute/", "compute/v2.1/", "network/", "image/", "volume/"]
)
def test_versions_are_told_without_a_token(sandbox: Sandbox, path: str) -> None:
    assert requests.get(f"{sandbox.url}/{path}", timeout=5).status_code in {200, 300}


def test_what_belongs_to_administrators_is_forbidden(conn: Connection) -> None:
    assert conn.identity.get("/users").status_code == 403
    assert conn.identity.get(f"/projects/{conn.current_project_id}").status_code == 200


def test_secrets_are_readable_by_the_owner_only(sandbox: Sandbox) -> None:
    for file in ("clouds.yaml", "admin-token", "cloud.sqlite"):
        assert (sandbox.data / file).stat().st_mode & 0o077 == 0


def test_the_access_file_stays_true_over_a_restart(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    before = cloud.clouds_yaml.read_text()
    cloud.clouds_yaml.unlink()
    cloud.stop()
    again = cloud.restart()
    try:
        assert again.clouds_yaml.read_text() == before
    finally:
        again.stop()
