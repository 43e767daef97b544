"""The provider mirror: an unpacked folder that every `terraform init` reads and only this module writes.

A provider is built here from its pinned Go module (our build survives an interrupt without orphans), or, where that
can't be, fetched from the public Terraform registry. Either way it's put in place in one rename, with a stamp beside
the mirror that says what it was made from; a binary that no longer matches its stamp is made again.

Layout: https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from app.processes import ProcessError, exclusive, run_logged

REGISTRY = "registry.terraform.io"
BUILD_SECONDS = 1800
"""A build takes about a minute on 2 cores; on one slow core with a cold cache, many."""
FETCH_SECONDS = 600

Origin = Literal["built", "registry"]
Progress = Callable[[str], None]


class MirrorError(RuntimeError):
    """A provider that could neither be built nor fetched, with what to do about it."""


@dataclass(frozen=True)
class ProviderPin:
    """A provider the templates need: its exact version, and the folder of the Go module that builds it, if any."""

    namespace: str
    name: str
    version: str
    module: Path | None

    @property
    def source(self) -> str:
        """The address as `required_providers` knows it, with the registry's name."""
        return f"{REGISTRY}/{self.namespace}/{self.name}"

    @property
    def binary_name(self) -> str:
        """The name that Terraform expects of the provider's executable."""
        return f"terraform-provider-{self.name}_v{self.version}"


PROVIDERS = (ProviderPin("terraform-provider-openstack", "openstack", "3.4.0", Path(__file__).parent / "provider"),)
"""What `mchub setup providers` puts into the mirror. One without a Go module of ours is always fetched."""


@dataclass(frozen=True)
class MirroredProvider:
    """A provider version that is in the mirror. `origin` is None for one that somebody else put there."""

    source: str
    version: str
    binary: Path
    origin: Origin | None


@dataclass(frozen=True)
class Stamp:
    """What a binary in the mirror was made from, and what it was when it was made."""

    inputs: str
    binary: str
    origin: Origin


@dataclass(frozen=True)
class Tools:
    """What making a provider may need; each is asked for only then.

    `go` and `terraform` give a program's path (or raise MirrorError); `log` takes what the programs print.
    """

    go: Callable[[], Path]
    terraform: Callable[[], Path]
    log: Path


def mirror_folder(cache: Path) -> Path:
    """The mirror in the cache folder."""
    return cache / "providers"


def platform_name() -> str:
    """This machine as Terraform names it, as in `linux_amd64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}_" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def read_mirror(mirror: Path) -> list[MirroredProvider]:
    """The provider versions for this machine that are in the mirror, and where each came from."""
    found = []
    for binary in sorted(mirror.glob(f"*/*/*/*/{platform_name()}/terraform-provider-*")):
        host, namespace, name, version = binary.relative_to(mirror).parts[:4]
        stamp = _read_stamp(mirror.parent, binary.name)
        found.append(MirroredProvider(f"{host}/{namespace}/{name}", version, binary, stamp.origin if stamp else None))
    return found


def ensure_provider(cache: Path, progress: Progress, tools: Tools, pin: ProviderPin = PROVIDERS[0]) -> MirroredProvider:
    """See to it that a provider is in the mirror, whole and from the present inputs; a second call takes milliseconds.

    One maker at a time per cache; others wait and find it made. Raises MirrorError when it can't be had.
    """
    present = _present(cache, pin)
    if present is not None:
        return present
    with exclusive(cache / "providers.lock", lambda: progress("Another set-up is making the provider: waiting for it")):
        present = _present(cache, pin)
        return present if present is not None else _make(cache, progress, tools, pin)


def fetch_configuration(pin: ProviderPin) -> str:
    """The main.tf.json with which `terraform providers mirror` fetches exactly this provider."""
    required = {pin.name: {"source": f"{pin.namespace}/{pin.name}", "version": pin.version}}
    return json.dumps({"terraform": {"required_providers": required}}, indent=2)


def build_environment(cache: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a pinned build: go.sum alone decides what is trusted, nothing but the module proxy is asked.

    A Go that is newer or other than the one on this machine is never fetched (GOTOOLCHAIN), go.mod never changed.
    """
    kept = {name: value for name, value in base.items() if name in _BUILD_VARIABLES}
    return {
        "GOPATH": str(cache / "go"),
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOCACHE": str(cache / "go" / "build"),
        **kept,
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


_BUILD_VARIABLES = frozenset(
    {"PATH", "HOME", "TMPDIR", "LANG", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"}
    | {"GOPROXY", "GOMODCACHE", "GOCACHE", "GOINSECURE", "GOMAXPROCS"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
)


def _make(cache: Path, progress: Progress, tools: Tools, pin: ProviderPin) -> MirroredProvider:
    reasons = []
    for left in cache.glob("making-*"):
        shutil.rmtree(left)
    if pin.module is not None:
        try:
            return _build(cache, progress, tools, pin, pin.module)
        except (MirrorError, ProcessError) as error:
            reasons.append(f"building it: {error}")
            progress(f"The {pin.name} provider could not be built ({error}); asking the Terraform registry for it")
    try:
        return _fetch(cache, progress, tools, pin)
    except (MirrorError, ProcessError) as error:
        reasons.append(f"fetching it: {error}")
    raise MirrorError(
        f"The {pin.name} provider {pin.version} could not be had. " + "; ".join(reasons) + ". "
        "Give this machine a way to the Go module proxy (GOPROXY, HTTPS_PROXY) or to the Terraform registry and start "
        "again; "
        f"or copy {_binary(cache, pin).parent} from a machine that has it. The whole output is in {tools.log}."
    )


def _build(cache: Path, progress: Progress, tools: Tools, pin: ProviderPin, module: Path) -> MirroredProvider:
    inputs = _inputs(pin)
    go = tools.go()
    target = _binary(cache, pin)
    target.parent.mkdir(parents=True, exist_ok=True)
    environment = build_environment(cache, os.environ)
    with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as folder:
        built = Path(folder) / pin.binary_name
        progress(f"Building the {pin.name} provider {pin.version} from its Go module (about 75 s on 2 cores)")
        command = [str(go), "build", "-ldflags=-s -w", "-o", str(built), "."]
        run_logged(command, module, environment, tools.log, BUILD_SECONDS)
        return _put(cache, pin, built, Stamp(inputs, _sha256(built), "built"))


def _fetch(cache: Path, progress: Progress, tools: Tools, pin: ProviderPin) -> MirroredProvider:
    terraform = tools.terraform()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as name:
        folder = Path(name)
        (folder / "main.tf.json").write_text(fetch_configuration(pin))
        (folder / "terraform.tfrc").write_text("disable_checkpoint = true\n")
        environment = {name: value for name, value in os.environ.items() if name in _BUILD_VARIABLES}
        environment |= {"TF_CLI_CONFIG_FILE": str(folder / "terraform.tfrc"), "CHECKPOINT_DISABLE": "1"}
        progress(f"Fetching the {pin.name} provider {pin.version} from the Terraform registry")
        command = [str(terraform), "providers", "mirror", f"-platform={platform_name()}", str(folder / "packed")]
        run_logged(command, folder, environment, tools.log, FETCH_SECONDS)
        binary = _unpack(folder, pin)
        return _put(cache, pin, binary, Stamp(_inputs(pin), _sha256(binary), "registry"))


def _unpack(folder: Path, pin: ProviderPin) -> Path:
    archive = folder / "packed" / pin.source / f"terraform-provider-{pin.name}_{pin.version}_{platform_name()}.zip"
    try:
        with zipfile.ZipFile(archive) as packed:
            names = [name for name in packed.namelist() if re.fullmatch(rf"terraform-provider-{pin.name}(_v.+)?", name)]
            if len(names) != 1:
                raise MirrorError(f"{archive.name} holds no single provider: {names}")
            binary = folder / pin.binary_name
            binary.write_bytes(packed.read(names[0]))
    except (OSError, zipfile.BadZipFile) as error:
        raise MirrorError(f"{archive.name} of the Terraform registry can't be read: {error}") from error
    binary.chmod(0o755)
    return binary


def _put(cache: Path, pin: ProviderPin, made: Path, stamp: Stamp) -> MirroredProvider:
    """Stamp first, binary last: what is in the mirror has always a stamp, and one that doesn't match is made again."""
    target = _binary(cache, pin)
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp_path = _stamp_path(cache, pin.binary_name)
    stamp_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = made.with_name("stamp.json")
    temporary.write_text(json.dumps(asdict(stamp), indent=2) + "\n")
    temporary.replace(stamp_path)
    made.replace(target)
    return MirroredProvider(pin.source, pin.version, target, stamp.origin)


def _present(cache: Path, pin: ProviderPin) -> MirroredProvider | None:
    """The provider as it is in the mirror, if it matches its stamp (SHA-256 of the whole file: some 30 ms)."""
    binary, stamp = _binary(cache, pin), _read_stamp(cache, pin.binary_name)
    if stamp is None or not os.access(binary, os.X_OK):
        return None
    if stamp.inputs != _inputs(pin) or stamp.binary != _sha256(binary):
        return None
    return MirroredProvider(pin.source, pin.version, binary, stamp.origin)


def _binary(cache: Path, pin: ProviderPin) -> Path:
    return mirror_folder(cache) / pin.source / pin.version / platform_name() / pin.binary_name


def _stamp_path(cache: Path, binary_name: str) -> Path:
    return cache / "stamps" / f"{binary_name}_{platform_name()}.json"


def _read_stamp(cache: Path, binary_name: str) -> Stamp | None:
    try:
        return Stamp(**json.loads(_stamp_path(cache, binary_name).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _inputs(pin: ProviderPin) -> str:
    digest = hashlib.sha256(f"{pin.source} {pin.version} {platform_name()}".encode())
    for path in sorted(pin.module.glob("*")) if pin.module is not None else ():
        if path.name.endswith(".go") or path.name in ("go.mod", "go.sum"):
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
