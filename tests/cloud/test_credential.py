"""A credential: the usual OS_* variables, or a cloud of a clouds.yaml flattened to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cloud.credential import CloudIdentity, CredentialError, check, flatten, secret_values

AUTH = {"auth_url": "https://cloud.example/v3", "username": "ada", "password": "secret-word", "project_name": "demo"}


def clouds(path: Path, content: object) -> dict[str, str]:
    """The environment of somebody with this clouds.yaml."""
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return {"OS_CLOUD": "mine", "OS_CLIENT_CONFIG_FILE": str(path)}


def test_plain_variables_stay_as_they_are() -> None:
    given = {"OS_AUTH_URL": "https://x", "OS_USERNAME": "ada", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "demo"}
    assert flatten(given) == given
    assert flatten({**given, "OS_CLOUD": "mine", "OS_CLIENT_CONFIG_FILE": "/nowhere"}) == given
    assert flatten({}) == {}


def test_a_cloud_of_a_clouds_yaml_becomes_variables(tmp_path: Path) -> None:
    entry = {
        "auth": {**AUTH, "user_domain_name": "Default", "unknown": "x"},
        "region_name": "RegionOne",
        "interface": "internal",
        "cacert": "/etc/ca.pem",
        "verify": False,
        "identity_api_version": 3,
    }
    assert flatten(clouds(tmp_path / "clouds.yaml", {"clouds": {"mine": entry}})) == {
        "OS_AUTH_URL": "https://cloud.example/v3", "OS_USERNAME": "ada", "OS_PASSWORD": "secret-word",
        "OS_PROJECT_NAME": "demo", "OS_USER_DOMAIN_NAME": "Default", "OS_REGION_NAME": "RegionOne",
        "OS_INTERFACE": "internal", "OS_CACERT": "/etc/ca.pem", "OS_INSECURE": "true",
    }  # fmt: skip


def test_an_application_credential_becomes_variables(tmp_path: Path) -> None:
    auth = {"auth_url": "https://x", "application_credential_id": "i", "application_credential_secret": "s"}
    entry = {"auth_type": "v3applicationcredential", "auth": auth}
    flat = flatten(clouds(tmp_path / "c", {"clouds": {"mine": entry}}))
    assert flat["OS_APPLICATION_CREDENTIAL_SECRET"] == "s"
    assert flat["OS_AUTH_TYPE"] == "v3applicationcredential"
    check(flat)


def test_what_is_empty_in_it_is_not_given(tmp_path: Path) -> None:
    flat = flatten(clouds(tmp_path / "c", {"clouds": {"mine": {"auth": {**AUTH, "password": None, "token": None}}}}))
    assert "OS_PASSWORD" not in flat
    with pytest.raises(CredentialError, match="no secret"):
        check(flat)


def test_numbers_in_it_are_text(tmp_path: Path) -> None:
    flat = flatten(clouds(tmp_path / "c", {"clouds": {"mine": {"auth": {**AUTH, "password": 1234}}}}))
    assert flat["OS_PASSWORD"] == "1234"


BROKEN: list[Any] = [
    "", "text", "- a", "clouds:", "clouds: []", "clouds: {mine: }", "clouds: {mine: text}", "clouds: {other: {}}",
    {"clouds": {"mine": {}}}, {"clouds": {"mine": {"auth": None}}}, {"clouds": {"mine": {"auth": "text"}}},
    {"clouds": {"mine": {"auth": ["x"]}}}, {"clouds": {"mine": {"auth": {"username": "ada"}}}}, "a: [", "\x00",
    "clouds: !!python/object/apply:os.system [x]",
]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_clouds_yaml_without_that_cloud_is_said_in_words(tmp_path: Path, content: object) -> None:
    with pytest.raises(CredentialError, match="mine"):
        flatten(clouds(tmp_path / "clouds.yaml", content))


def test_a_clouds_yaml_that_is_no_text_is_said_in_words(tmp_path: Path) -> None:
    environment = clouds(tmp_path / "clouds.yaml", "")
    (tmp_path / "clouds.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(CredentialError):
        flatten(environment)


def test_a_clouds_yaml_that_is_nowhere_is_said_with_the_places(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="OS_CLIENT_CONFIG_FILE"):
        flatten({"OS_CLOUD": "mine", "OS_CLIENT_CONFIG_FILE": str(tmp_path / "none")})


def test_it_is_looked_for_where_openstack_clients_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "openstack").mkdir(parents=True)
    clouds(tmp_path / "config" / "openstack" / "clouds.yaml", {"clouds": {"mine": {"auth": AUTH}}})
    assert flatten({"OS_CLOUD": "mine"})["OS_USERNAME"] == "ada"
    clouds(tmp_path / "clouds.yaml", {"clouds": {"mine": {"auth": {**AUTH, "username": "bob"}}}})
    assert flatten({"OS_CLOUD": "mine"})["OS_USERNAME"] == "bob"


def test_without_a_cloud_it_is_said_what_to_set() -> None:
    with pytest.raises(CredentialError, match="OS_AUTH_URL"):
        check({})
    with pytest.raises(CredentialError, match="OS_APPLICATION_CREDENTIAL_SECRET"):
        check({"OS_AUTH_URL": "https://x", "OS_USERNAME": "ada"})
    for name in ("OS_PASSWORD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET"):
        check({"OS_AUTH_URL": "https://x", name: "s"})


def test_what_stands_in_place_of_the_url_is_not_repeated() -> None:
    with pytest.raises(CredentialError, match="OS_AUTH_URL is no URL") as found:
        check({"OS_AUTH_URL": "correct-horse-battery", "OS_PASSWORD": "s"})
    assert "correct-horse" not in str(found.value)


def test_what_must_appear_nowhere_is_known() -> None:
    assert secret_values({"OS_PASSWORD": "p", "OS_TOKEN": "", "OS_USERNAME": "ada"}) == ["p"]


def test_where_a_cluster_lives_reads_as_one_line() -> None:
    assert str(CloudIdentity("https://x", "p", "r")) == "https://x p r"
