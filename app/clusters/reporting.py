"""Telling the browsers how far a build is."""

from __future__ import annotations

import time
from typing import Any

from app.clusters.documents import publish
from app.clusters.masks import diagnostic_json, masker_of
from app.clusters.models import Cluster
from app.db import iso, transaction
from app.terraform.masking import Masker
from app.terraform.progress import ProgressReader, ResourceProgress

PUBLISH_SECONDS = 0.25
"""How often a running build is told to the browsers at most."""


class Progress:
    """Tells the browsers how far an apply is, a few times a second at most."""

    def __init__(self, cluster: Cluster, reader: ProgressReader) -> None:
        self.cluster = cluster
        self.reader = reader
        self.masker = masker_of(cluster)
        self._told_at = 0.0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        self.reader.feed(data)
        if time.monotonic() - self._told_at >= PUBLISH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Rewrite the status document if anything happened."""
        self._told_at = time.monotonic()
        with transaction():
            publish(
                self.cluster,
                progress=[progress_json(each, self.masker) for each in self.reader.resources],
                counts={"done": self.reader.done, "total": self.reader.total},
            )


def progress_json(resource: ResourceProgress, masker: Masker) -> dict[str, Any]:
    """One resource, as in `GET .../status`."""
    diagnostic = resource.diagnostic
    return {
        "address": resource.address,
        "type": resource.type,
        "action": str(resource.action),
        "state": resource.state.value,
        "started_at": iso(resource.started_at),
        "ended_at": iso(resource.ended_at),
        "diagnostic": diagnostic_json(diagnostic, masker) if diagnostic else None,
    }
