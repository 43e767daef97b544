"""Cluster templates: folders of data that an admin adds without touching Python.

``template.toml`` describes the template, ``main.tf.json.j2`` is its configuration, a local module lies beside them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.logs import get_logger

log = get_logger(__name__)
DESCRIPTION_FILE = "template.toml"
CONFIGURATION_FILE = "main.tf.json.j2"


class TemplateError(Exception):
    """A cluster template that can't be used; the message names the file and the key."""


class ParameterType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    MAP = "map"


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Described):
    """One input of the module. ``default`` of None means null: the module's own choice."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    help: str = ""
    type: ParameterType = ParameterType.STRING
    default: Any = None
    required: bool = False
    secret: bool = False
    advanced: bool = False


class TagRequirement(_Described):
    """The smallest flavor that an instance with the tag can use."""

    ram_mb: int = Field(ge=0)
    vcpus: int = Field(ge=0)
    root_disk_gb: int = Field(ge=0)


class Probe(_Described):
    """A check of a cluster's service. ``{hostname}`` in its url is the cluster's; it connects to the public IP."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str = ""
    url: str = Field(pattern=r"^https?://")
    accepted: tuple[int, ...] = (200,)
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)

    def url_for(self, hostname: str) -> str:
        return self.url.replace("{hostname}", hostname)


class Module(_Described):
    """Where the module comes from: a folder of the template, or a git repository with releases."""

    source: Literal["local", "git"]
    path: str = ""
    url: str = ""
    versions: tuple[str, ...] = Field(min_length=1)
    default_version: str

    @model_validator(mode="after")
    def _is_complete(self) -> Module:
        if self.default_version not in self.versions:
            raise ValueError("default_version is not one of versions")
        if self.source == "local" and (not self.path or Path(self.path).is_absolute() or ".." in Path(self.path).parts):
            raise ValueError("a local module needs a path inside the template's folder")
        if self.source == "git" and not self.url.startswith("https://"):
            raise ValueError("a git module needs an https:// url")
        return self

    def source_of(self, version: str) -> str:
        """The ``source`` argument of the module block; for git a private copy per cluster, made by init."""
        if version not in self.versions:
            raise TemplateError(f"the module has no version {version!r}; it has {', '.join(self.versions)}")
        if self.source == "local":
            return "./module"
        folder = f"//{self.path}" if self.path else ""
        return f"git::{self.url}{folder}?ref={version}"


class Provider(_Described):
    """A provider and its one exact version."""

    source: str = Field(pattern=r"^([a-z0-9.-]+/)?[a-z0-9-]+/[a-z0-9-]+$")
    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")


class Output(_Described):
    sensitive: bool = False
    description: str = ""


class ResourceNames(_Described):
    """How what a cluster owns is recognised in the cloud, by name or by mark.

    ``{cluster_name}``, ``{hostname}`` and ``{host}`` stand for the cluster's. `server_metadata` is the key under which
    a server carries the hostname; `description` what the description of everything that has one says.
    """

    prefix: str = "{cluster_name}-"
    server: str = "{cluster_name}-{host}"
    server_metadata: str | None = None
    description: str | None = None


def _no_probes(value: object) -> object:
    return () if value == "none" else value


class ClusterTemplate(_Described):
    """One folder of ``terraform_templates/``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    root: Path
    title: str
    description: str = ""
    module: Module
    providers: dict[str, Provider]
    parameters: tuple[Parameter, ...]
    default_parameters: dict[str, Any] = Field(default_factory=dict)
    tag_requirements: dict[str, TagRequirement] = Field(default_factory=dict)
    probes: Annotated[tuple[Probe, ...], BeforeValidator(_no_probes)] = ()
    provisioning_limit_minutes: int = Field(default=60, gt=0)
    outputs: dict[str, Output] = Field(default_factory=dict)
    resource_names: ResourceNames = ResourceNames()

    @model_validator(mode="after")
    def _is_consistent(self) -> ClusterTemplate:
        declared = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in declared if declared.count(name) > 1})
        if twice:
            raise ValueError(f"parameters are declared twice: {', '.join(twice)}")
        unknown = sorted(set(self.default_parameters) - set(declared))
        if unknown:
            raise ValueError(f"default_parameters are not declared: {', '.join(unknown)}")
        return self

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the parameters that are written, never read."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.secret)

    @property
    def required_providers(self) -> dict[str, dict[str, str]]:
        """The block of the same name, with exact versions."""
        return {
            name: {"source": provider.source, "version": f"= {provider.version}"}
            for name, provider in self.providers.items()
        }

    @property
    def module_folder(self) -> Path | None:
        """The folder of a local module, None for git."""
        return self.root / self.module.path if self.module.source == "local" else None

    def complete_parameters(self, given: Mapping[str, object]) -> dict[str, object]:
        """`given` with the declared defaults of what it leaves out. Raises TemplateError for undeclared names."""
        unknown = sorted(set(given) - {parameter.name for parameter in self.parameters})
        if unknown:
            raise TemplateError(f"template {self.name} has no parameter {', '.join(unknown)}")
        missing = [each.name for each in self.parameters if each.required and given.get(each.name) is None]
        if missing:
            raise TemplateError(f"template {self.name} needs a value for {', '.join(missing)}")
        return {each.name: given.get(each.name, each.default) for each in self.parameters}


def load_templates(root: Path) -> dict[str, ClusterTemplate]:
    """Every folder of `root` that has a ``template.toml``, by name. Raises TemplateError naming file and key."""
    return {folder.name: load_template(folder) for folder in _folders(root)}


def load_usable_templates(root: Path) -> dict[str, ClusterTemplate]:
    """As `load_templates`, but what cannot be used is logged and left out: the others are not to blame.

    Raises TemplateError where there is no such folder at all.
    """
    found = {}
    for folder in _folders(root):
        try:
            found[folder.name] = load_template(folder)
        except (TemplateError, OSError) as error:
            log.warning("a cluster template cannot be used and is left out", template=folder.name, reason=str(error))
    return found


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise TemplateError(f"{root}: no such folder of cluster templates")
    return sorted(path.parent for path in root.glob(f"*/{DESCRIPTION_FILE}"))


def load_template(folder: Path) -> ClusterTemplate:
    """The template in `folder`. Raises TemplateError naming file and key."""
    path = folder / DESCRIPTION_FILE
    try:
        described = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TemplateError(f"{path}: {error}") from error
    for reserved in ("name", "root"):
        if reserved in described:
            raise TemplateError(f"{path}: {reserved}: not settable, a template is named after its folder")
    try:
        template = ClusterTemplate.model_validate({**described, "name": folder.name, "root": folder.resolve()})
    except ValidationError as error:
        problems = "; ".join(_in_words(problem) for problem in error.errors(include_url=False))
        raise TemplateError(f"{path}: {problems}") from error
    if not (folder / CONFIGURATION_FILE).is_file():
        raise TemplateError(f"{folder / CONFIGURATION_FILE}: missing")
    if template.module_folder is not None and not list(template.module_folder.glob("*.tf")):
        raise TemplateError(f"{path}: module.path: no *.tf file in {template.module_folder}")
    return template


def _in_words(problem: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])
