"""How an operation ends when it does not succeed: its cluster's status, its diagnostics, the state kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.clusters.configuration import restore_applied
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.reporting import plain
from app.clusters.states import keep_state, public_outputs
from app.clusters.statuses import Status
from app.db import iso, now, transaction
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import transition
from app.terraform.execution import Outcome, OutcomeState
from app.terraform.progress import Diagnostic, Severity
from app.terraform.state import StateError


def end_failed(operation: Operation, cluster: Cluster, status: Status, diagnostics: Sequence[Diagnostic]) -> None:
    """End an operation and its cluster in an error, with what Terraform said; the state that was written is kept."""
    source = operation.worker or "hub"
    cancelled = operation.cancel_requested_at is not None
    summary = "Cancelled." if cancelled else (diagnostics[0].summary if diagnostics else "It failed.")
    with transaction():
        also: dict[str, Any] = {}
        if status is not Status.PLAN_ERROR:
            try:
                also = _kept(cluster, operation)
            except StateError as error:
                # What it holds is not known: the cluster counts as having resources, and the file stays as it is.
                diagnostics = [*diagnostics, error_diagnostic("The Terraform state cannot be read", str(error))]
                also = {"has_resources": True}
        operation.result = {"diagnostics": [plain(each) for each in diagnostics]}
        operations.end(operation, State.CANCELLED if cancelled else State.FAILED, source=source, error=summary)
        transition(cluster, status, source=source, detail=summary, also=also)
        publish(cluster)


def _kept(cluster: Cluster, operation: Operation) -> dict[str, Any]:
    """Keep the state; what it says of the cluster."""
    state = keep_state(cluster, operation.id)
    if state.is_empty:
        return {"has_resources": False}
    return {"has_resources": True, "outputs": public_outputs(state, equipment().template(cluster.template))}


def end_cancelled_plan(operation: Operation, cluster: Cluster) -> None:
    source = operation.worker or "hub"
    with transaction():
        restore_applied(cluster)
        operations.end(operation, State.CANCELLED, source=source, error="Cancelled.")
        transition(cluster, cluster.status_before or Status.CREATED, source=source, detail="The plan was cancelled.")
        publish(cluster)


def diagnostics_of(outcome: Outcome) -> list[Diagnostic]:
    if outcome.state is OutcomeState.INTERRUPTED:
        interrupted = error_diagnostic(
            f"Interrupted at {iso(now())}",
            "Terraform ended before it could report. What it had recorded is kept: a new plan continues from there.",
        )
        return [interrupted, *outcome.diagnostics]
    return list(outcome.diagnostics)


def error_diagnostic(summary: str, detail: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, summary, detail)


def from_hub(error: Exception) -> Diagnostic:
    return error_diagnostic("The hub could not start Terraform", str(error))
