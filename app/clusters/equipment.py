"""What the clusters room works with: settings, templates, Terraform, clouds, and where each cluster's folder is."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from flask import current_app

from app.accounts import service as accounts
from app.accounts.models import Project
from app.cloud.connections import Cloud, Connections
from app.cloud.resources import ResourceCache, Resources, query
from app.clusters.models import Cluster
from app.errors import FieldError, Invalid, NotFound
from app.lifecycle import operations
from app.lifecycle.dispatch import Doorbell
from app.secrets import Vault
from app.settings import Settings
from app.terraform.engine import Engine, find_engine, write_cli_configuration
from app.terraform.execution import environment
from app.terraform.templates import ClusterTemplate, load_usable_templates
from app.terraform.workspace import InitCache

PROVIDERS = "providers"
CLI_CONFIGURATION = "terraform.tfrc"


@dataclass
class Equipment:
    """One per process of the hub."""

    settings: Settings
    vault: Vault
    templates: dict[str, ClusterTemplate]
    connections: Connections
    resources: ResourceCache
    doorbell: Doorbell
    _engine: Engine | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def engine(self) -> Engine:
        """The Terraform to run; looked for once.

        Raises:
            app.terraform.engine.EngineError: there is none.
        """
        with self._guard:
            if self._engine is None:
                self._engine = find_engine(self.settings.terraform, os.environ.get("PATH"))
                write_cli_configuration(self.settings.data / CLI_CONFIGURATION, self.settings.cache / PROVIDERS)
            return self._engine

    def init_cache(self) -> InitCache:
        """Prepared inits, kept below the data folder."""
        return InitCache(self.settings.data / "inits", self.engine().version, self.settings.cache / PROVIDERS)

    def template(self, name: str) -> ClusterTemplate:
        """A cluster template.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self.templates:
            raise NotFound(f"There is no cluster template named “{name}”.")
        return self.templates[name]

    def template_asked_for(self, name: str) -> ClusterTemplate:
        """A cluster template that a body names.

        Raises:
            Invalid: there is none of that name.
        """
        if name not in self.templates:
            known = ", ".join(sorted(self.templates))
            raise Invalid(
                "Unknown template.", [FieldError("template", f"There is no such template; there are: {known}.")]
            )
        return self.templates[name]

    def folder(self, cluster: Cluster) -> Path:
        """`<data>/clusters/<hostname>/`, or where it was moved when the cluster was destroyed."""
        if cluster.destroyed_at is not None:
            return self.grave(cluster)
        return self.settings.data / "clusters" / cluster.hostname

    def grave(self, cluster: Cluster) -> Path:
        """Where the logs of a cluster are once it is destroyed."""
        return self.settings.data / "destroyed" / cluster.id

    def operation_folder(self, cluster: Cluster, operation_id: str) -> Path:
        """Where an operation has its log, plan file and exit codes."""
        return self.folder(cluster) / "operations" / operation_id

    def cloud(self, project: Project) -> Cloud:
        """The project's cloud, signed in.

        Raises:
            CloudUnavailable: it refuses or does not answer.
        """
        return self.connections.open(accounts.credential_of(project))

    def available(self, project: Project, *, anew: bool = False) -> Resources:
        """What the project's cloud offers, at most a few seconds old, and never from before the last apply.

        Raises:
            CloudUnavailable: it refuses or does not answer, and never did.
        """
        credential = accounts.credential_of(project)
        return self.resources.get(
            project.id, lambda: query(self.connections.open(credential)), operations.last_end("apply"), anew=anew
        )

    def terraform_environment(self, project: Project) -> dict[str, str]:
        """The allow-listed environment of this project's Terraform."""
        base = {**os.environ, "TF_CLI_CONFIG_FILE": str(self.settings.data / CLI_CONFIGURATION)}
        return environment(base, accounts.credential_of(project))


def make_equipment(settings: Settings, vault: Vault) -> Equipment:
    """The equipment for these settings.

    Raises:
        app.terraform.templates.TemplateError: there is no folder of cluster templates.
    """
    return Equipment(
        settings=settings,
        vault=vault,
        templates=load_usable_templates(settings.templates),
        connections=Connections(settings.cloud_timeout_seconds),
        resources=ResourceCache(settings.resources_ttl_seconds, settings.cloud_timeout_seconds),
        doorbell=Doorbell(settings.data / "doorbell"),
    )


def equipment() -> Equipment:
    """The equipment of the present process."""
    found: Equipment = current_app.extensions["equipment"]
    return found
