"""One authenticated connection per project, used again by every request that needs the cloud."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from app.cloud.credential import CloudIdentity, CredentialError, check
from app.errors import CloudUnavailable

if TYPE_CHECKING:
    from keystoneauth1.plugin import BaseAuthPlugin
    from openstack.connection import Connection

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Cloud:
    """A project's cloud: its connection, and where it is."""

    connection: Connection
    identity: CloudIdentity


@dataclass
class Connections:
    """The connections of this process, by credential."""

    timeout_seconds: float
    _clouds: dict[str, Cloud] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def open(self, credential: Mapping[str, str]) -> Cloud:
        """The cloud of a credential, signed in.

        Raises:
            CloudUnavailable: the credential is incomplete or refused, or the cloud does not answer.
        """
        key = hashlib.sha256(json.dumps(dict(credential), sort_keys=True).encode()).hexdigest()
        with self._guard:
            known = self._clouds.get(key)
        if known is not None:
            return known
        try:
            check(credential)
        except CredentialError as error:
            raise CloudUnavailable(str(error), kind="cloud-credential") from error
        cloud = asking("sign-in", lambda: _sign_in(credential, self.timeout_seconds))
        with self._guard:
            return self._clouds.setdefault(key, cloud)


def _sign_in(credential: Mapping[str, str], timeout: float) -> Cloud:
    # Imported here: openstacksdk takes a third of a second and 30 MB, and not every process asks a cloud.
    from keystoneauth1 import session
    from openstack.connection import Connection

    insecure = credential.get("OS_INSECURE", "").lower() in ("1", "true", "yes")
    verify: bool | str = False if insecure else credential.get("OS_CACERT") or True
    signed = session.Session(auth=_plugin(credential), verify=verify, timeout=timeout, app_name="mchub")
    region = credential.get("OS_REGION_NAME") or None
    interface = (credential.get("OS_INTERFACE") or credential.get("OS_ENDPOINT_TYPE") or "public").removesuffix("URL")
    connection = Connection(session=signed, region_name=region, interface=interface)
    project_id = signed.get_project_id() or ""
    return Cloud(connection, CloudIdentity(credential["OS_AUTH_URL"].rstrip("/"), project_id, region or ""))


def _plugin(credential: Mapping[str, str]) -> BaseAuthPlugin:
    from keystoneauth1.identity import v3

    def given(*names: str) -> dict[str, Any]:
        return {name: credential.get(f"OS_{name.upper()}") for name in names}

    auth_url = credential["OS_AUTH_URL"]
    user = ("username", "user_id", "user_domain_id", "user_domain_name")
    project = ("project_id", "project_name", "project_domain_id", "project_domain_name")
    if credential.get("OS_APPLICATION_CREDENTIAL_SECRET"):
        return v3.ApplicationCredential(
            auth_url,
            credential["OS_APPLICATION_CREDENTIAL_SECRET"],
            **given("application_credential_id", "application_credential_name", *user),
        )
    if credential.get("OS_TOKEN"):
        return v3.Token(auth_url, credential["OS_TOKEN"], **given(*project))
    auth = given("password", *user, *project)
    # Keystone's first domain is what every client assumes where none is named.
    if not auth["user_domain_id"] and not auth["user_domain_name"]:
        auth["user_domain_id"] = "default"
    if auth["project_name"] and not auth["project_domain_id"] and not auth["project_domain_name"]:
        auth["project_domain_id"] = "default"
    return v3.Password(auth_url, **auth)


def _again_once_signed_in(call: Callable[[], Answer]) -> Answer:
    """Of calls that meet a revoked token at once, keystoneauth repeats only one; the others are repeated here."""
    from openstack import exceptions as sdk_errors

    try:
        return call()
    except sdk_errors.HttpException as error:
        if error.status_code != 401:
            raise
    return call()


def asking(what: str, call: Callable[[], Answer]) -> Answer:
    """Make a call of the cloud; what goes wrong becomes one error in words.

    Raises:
        CloudUnavailable: with what was asked, and what the cloud or the network said.
    """
    from keystoneauth1 import exceptions as auth_errors
    from openstack import exceptions as sdk_errors

    try:
        return _again_once_signed_in(call)
    except auth_errors.Unauthorized as error:
        raise CloudUnavailable(
            "The cloud refused the credential: is it right, and not expired or revoked?", kind="cloud-unauthorized"
        ) from error
    except auth_errors.ConnectTimeout as error:
        raise CloudUnavailable(f"The cloud did not answer in time ({what}).", kind="cloud-timeout") from error
    except auth_errors.SSLError as error:
        raise CloudUnavailable(
            f"The cloud's certificate is not trusted ({what}): set OS_CACERT.", kind="cloud-tls"
        ) from error
    except auth_errors.ConnectFailure as error:
        raise CloudUnavailable(
            f"The cloud cannot be reached ({what}): is OS_AUTH_URL right, and the network up?", kind="cloud-unreachable"
        ) from error
    except auth_errors.EndpointNotFound as error:
        raise CloudUnavailable(
            f"The cloud offers no such service in this region ({what}).", kind="cloud-service"
        ) from error
    except sdk_errors.NotSupported as error:
        # What openstacksdk makes of a service whose list of versions did not come.
        raise CloudUnavailable(f"A service of the cloud does not answer ({what}).", kind="cloud-service") from error
    except (auth_errors.ClientException, sdk_errors.SDKException) as error:
        raise CloudUnavailable(f"The cloud answered with an error ({what}): {error}") from error
