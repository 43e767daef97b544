"""The statuses of a cluster and the moves between them (spec/clusters.md, "Statuses")."""

from __future__ import annotations

from enum import StrEnum

from app.lifecycle.status import Indicator, StatusTable


class Status(StrEnum):
    """The words on the wire."""

    CREATED = "created"
    PLAN_RUNNING = "plan_running"
    PLAN_ERROR = "plan_error"
    PLAN_READY = "plan_ready"
    BUILD_RUNNING = "build_running"
    BUILD_ERROR = "build_error"
    BUILD_SUCCESS = "build_success"
    PROVISIONING_RUNNING = "provisioning_running"
    PROVISIONING_SUCCESS = "provisioning_success"
    PROVISIONING_ERROR = "provisioning_error"
    DESTROY_RUNNING = "destroy_running"
    DESTROY_ERROR = "destroy_error"
    DESTROYED = "destroyed"


BUSY = frozenset({Status.PLAN_RUNNING, Status.BUILD_RUNNING, Status.DESTROY_RUNNING})

_FROM_ANY_REST = frozenset({Status.PLAN_RUNNING, Status.DESTROYED})


def _indicator(status: Status) -> Indicator:
    if status.endswith("_running"):
        return Indicator.IN_PROGRESS
    return Indicator.ERROR if status.endswith("_error") else Indicator.IDLE


CLUSTER_STATUSES = StatusTable(
    subject="cluster",
    moves={
        Status.CREATED: _FROM_ANY_REST,
        Status.PLAN_RUNNING: frozenset({Status.PLAN_READY, Status.PLAN_ERROR}),
        Status.PLAN_ERROR: _FROM_ANY_REST,
        Status.PLAN_READY: _FROM_ANY_REST | {Status.BUILD_RUNNING, Status.DESTROY_RUNNING},
        Status.BUILD_RUNNING: frozenset(
            {Status.BUILD_SUCCESS, Status.BUILD_ERROR, Status.PROVISIONING_RUNNING, Status.PROVISIONING_SUCCESS}
        ),
        Status.BUILD_ERROR: _FROM_ANY_REST,
        Status.BUILD_SUCCESS: _FROM_ANY_REST,
        Status.PROVISIONING_RUNNING: _FROM_ANY_REST | {Status.PROVISIONING_SUCCESS, Status.PROVISIONING_ERROR},
        Status.PROVISIONING_SUCCESS: _FROM_ANY_REST,
        Status.PROVISIONING_ERROR: _FROM_ANY_REST | {Status.PROVISIONING_SUCCESS},
        Status.DESTROY_RUNNING: frozenset({Status.DESTROYED, Status.DESTROY_ERROR}),
        Status.DESTROY_ERROR: _FROM_ANY_REST,
        Status.DESTROYED: frozenset(),
    },
    indicators={status: _indicator(status) for status in Status},
    returns=frozenset({Status.PLAN_RUNNING, Status.PLAN_READY}),
)
