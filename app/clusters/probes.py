"""Probes: whether a cluster's services answer (spec/clusters.md, step 8). They never run in a request.

A probe connects to the cluster's public IP under the service's host name (SNI and Host), so that no name has to
resolve; it verifies no certificate (they come late) and therefore sends no secret. Redirects count by their own code.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import or_, select

from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.statuses import Status
from app.db import db, iso, now, transaction
from app.errors import Conflict
from app.lifecycle.status import transition
from app.logs import get_logger
from app.terraform.templates import ClusterTemplate

log = get_logger(__name__)
SOURCE = "probes"
SLOWER = 6
"""After the limit the probes go on, this many times slower."""
LEAST_PROVISIONING = timedelta(seconds=1)
AT_ONCE = 64
PROBED = (Status.PROVISIONING_RUNNING, Status.PROVISIONING_ERROR)


@dataclass(frozen=True)
class Target:
    """One thing to ask: the service's URL and the address to connect to."""

    name: str
    url: str
    address: str | None
    accepted: tuple[int, ...]
    timeout_seconds: float


@dataclass(frozen=True)
class Answer:
    """What a service answered; `last` says it in words."""

    name: str
    url: str
    ok: bool
    last: str
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """As in `GET .../status`."""
        return {"name": self.name, "url": self.url, "ok": self.ok, "last": self.last, "at": iso(self.at)}


@cache
def _unverified() -> ssl.SSLContext:
    # Not ssl.create_default_context(): it reads every certificate authority, 30 ms of the web's time for each probe.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def ask(target: Target) -> Answer:
    """Ask one service; whatever happens is an answer, within the target's time limit."""
    began = time.monotonic()
    ok, words = False, "no public address yet"
    if target.address is not None:
        try:
            code = await asyncio.wait_for(_status_code(target, target.address), target.timeout_seconds)
            ok, words = code in target.accepted, f"{code}"
        except TimeoutError:
            words = "no answer"
        except ConnectionRefusedError:
            words = "connection refused"
        except (OSError, ssl.SSLError, ValueError, EOFError) as error:
            words = f"connection failed: {type(error).__name__}"
        words += f" after {time.monotonic() - began:.1f} s"
    return Answer(target.name, target.url, ok, words, now())


async def _status_code(target: Target, address: str) -> int:
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        address,
        parts.port or (443 if secure else 80),
        ssl=_unverified() if secure else None,
        server_hostname=host if secure else None,
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "User-Agent: mchub-probe",
            "Accept: */*",
            "Connection: close",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            raise ValueError("not an HTTP answer")
        return int(words[1])
    finally:
        writer.transport.abort()


async def _ask_all(targets: Sequence[Target]) -> list[Answer]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Answer:
        async with limit:
            return await ask(target)

    return list(await asyncio.gather(*(one(target) for target in targets)))


def targets_of(cluster: Cluster, template: ClusterTemplate) -> list[Target]:
    """What to ask of a cluster."""
    return [
        Target(
            probe.name,
            probe.url_for(cluster.hostname),
            public_address(cluster),
            probe.accepted,
            min(probe.timeout_seconds, equipment().settings.probe_timeout_seconds),
        )
        for probe in template.probes
    ]


def public_address(cluster: Cluster) -> str | None:
    """The public IP of the cluster's first public host, from its outputs; the login node's where there is one."""
    found = cluster.outputs.get("public_ip")
    if not isinstance(found, dict) or not found:
        return None
    proxy = next((name for name in sorted(found) if name.startswith("login")), min(found))
    return str(found[proxy])


@dataclass
class Prober:
    """Decides whose turn it is, asks, and moves clusters on."""

    _due: dict[str, float] = field(default_factory=dict)

    def round(self) -> None:
        """Ask all clusters whose turn it is, at once, and note the answers."""
        templates = equipment().templates
        clusters = db.session.scalars(
            select(Cluster)
            .where(Cluster.destroyed_at.is_(None), Cluster.template.in_(templates))
            .where(or_(Cluster.status.in_(PROBED), Cluster.status_before.in_(PROBED)))
            .execution_options(populate_existing=True)
        ).all()
        # Not a rollback, which would forget what was read: no connection is held while services are waited for.
        db.session.commit()
        self._due = {c.id: self._due.get(c.id, 0.0) for c in clusters}
        turn = [c for c in clusters if self._due[c.id] <= time.monotonic() and c.status in (*PROBED, Status.PLAN_READY)]
        targets = [(cluster, target) for cluster in turn for target in targets_of(cluster, templates[cluster.template])]
        answers = asyncio.run(_ask_all([target for _, target in targets])) if targets else []
        by_cluster: dict[str, list[Answer]] = {cluster.id: [] for cluster in turn}
        for (cluster, _), answer in zip(targets, answers, strict=True):
            by_cluster[cluster.id].append(answer)
        for cluster in turn:
            self._due[cluster.id] = time.monotonic() + _pause(cluster)
            note(cluster.id, by_cluster[cluster.id])


def _pause(cluster: Cluster) -> float:
    """Seconds to the next round; jitter keeps many clusters from being asked in step."""
    base = equipment().settings.probe_seconds
    slower = SLOWER if cluster.status == Status.PROVISIONING_ERROR else 1
    return base * slower * random.uniform(0.8, 1.2)  # noqa: S311 - no secret hangs on it


def note(cluster_id: str, answers: Sequence[Answer]) -> None:
    """Keep the answers for the browsers; move the cluster on when all services answer, or when the time is up."""
    try:
        with transaction():
            cluster = db.session.get_one(Cluster, cluster_id, populate_existing=True)
            if cluster.status not in PROBED:
                publish(cluster, probes=[answer.as_json() for answer in answers])
                return
            _judge(cluster, answers)
            publish(cluster, probes=[answer.as_json() for answer in answers])
    except Conflict:
        # Somebody planned a change at this very moment; the next round sees it.
        log.info("probes came too late", cluster=cluster_id)


def _judge(cluster: Cluster, answers: Sequence[Answer]) -> None:
    since = cluster.provisioning_since or cluster.status_at
    if answers and all(answer.ok for answer in answers):
        if now() - since >= LEAST_PROVISIONING:
            transition(cluster, Status.PROVISIONING_SUCCESS, source=SOURCE, detail="All services answer.")
        return
    limit = timedelta(minutes=equipment().template(cluster.template).provisioning_limit_minutes)
    if cluster.status == Status.PROVISIONING_RUNNING and now() - since > limit:
        silent = ", ".join(answer.name for answer in answers if not answer.ok)
        transition(
            cluster,
            Status.PROVISIONING_ERROR,
            source=SOURCE,
            detail=f"No answer of {silent} within {limit.total_seconds() / 60:g} minutes; the hub goes on asking.",
        )


def answers_now(cluster: Cluster) -> bool:
    """Whether all services of a cluster answer at this moment; one round, for an apply that changed no server."""
    template = equipment().template(cluster.template)
    answers = asyncio.run(_ask_all(targets_of(cluster, template)))
    return bool(answers) and all(answer.ok for answer in answers)
