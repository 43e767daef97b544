"""The REST API of clusters (spec/clusters.md, "REST API"): thin, every answer made elsewhere."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, make_response, request

from app.accounts.service import DEFAULT_PROJECT
from app.bodies import reads, takes
from app.clusters import available, logs, plans, queries, service
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.nodes import console_text, nodes_json
from app.clusters.paging import HISTORY_PER_PAGE, MOST_PER_PAGE, Page
from app.clusters.schemas import ApplyPlan, ClusterCreate, ClusterReplace
from app.errors import FieldError, Invalid
from app.lifecycle.operations import Operation

api = APIBlueprint("clusters", __name__, url_prefix="/api", tag="Clusters")
Json = dict[str, Any]
REFUSALS = {404: "There is no such cluster.", 422: "Fields are wrong; `errors` names them."}
BUSY = {**REFUSALS, 409: "Busy, stale, or moved meanwhile; `type` says which."}
CLOUD = {502: "The cloud refused or did not answer."}
MOST_CONSOLE_LINES = 1000
PAGES = {
    "page": "The page, from 1.",
    "per_page": f"How many to a page: {HISTORY_PER_PAGE} if absent, at most {MOST_PER_PAGE}.",
}


def _whole(name: str, default: int) -> int:
    """A whole number of the query."""
    given = request.args.get(name)
    if given is None:
        return default
    try:
        return int(given)
    except ValueError as error:
        raise Invalid("The query has errors.", [FieldError(name, "must be a whole number")]) from error


def _page() -> Page:
    """The page of a history that the query asks for."""
    return Page(_whole("page", 1), _whole("per_page", HISTORY_PER_PAGE))


def _accepted(cluster: Cluster, operation: Operation) -> tuple[Json, int]:
    return {
        "hostname": cluster.hostname,
        "id": cluster.id,
        "status": cluster.status,
        "version": cluster.version,
        "operation": queries.operation_json(operation),
    }, 202


@api.get("/clusters")
@api.doc(responses={200: "A page of clusters.", 422: REFUSALS[422]})
@reads(
    q="Text in the hostname.",
    status="A status.",
    project="A project's name.",
    sort=f"One of {', '.join(queries.SORTS)}; with - before it: descending. The newest stand first if absent.",
    page="The page, from 1.",
    per_page=f"How many to a page: {queries.PER_PAGE} if absent, at most {MOST_PER_PAGE}.",
)
def list_clusters() -> Json:
    """List clusters, a page at a time."""
    return queries.list_clusters(
        queries.Listing(
            search=request.args.get("q", ""),
            status=request.args.get("status", ""),
            project=request.args.get("project", ""),
            sort=request.args.get("sort", "-created_at"),
            page=_whole("page", 1),
            per_page=_whole("per_page", queries.PER_PAGE),
        )
    )


@api.post("/clusters")
@takes(ClusterCreate)
@api.doc(
    responses={
        202: "Kept; its plan is being made.",
        400: "Not JSON.",
        409: "Moved meanwhile.",
        422: REFUSALS[422],
        **CLOUD,
    }
)
def create_cluster(body: ClusterCreate) -> tuple[Json, int]:
    """Create a cluster: check it, keep it, make its plan."""
    return _accepted(*service.create(body))


@api.get("/clusters/<hostname>")
@api.doc(responses={200: "The cluster.", 404: REFUSALS[404]})
def get_cluster(hostname: str) -> Json:
    """One cluster: its parameters as they were given (secrets excepted), outputs and links."""
    return queries.cluster_json(service.get_cluster(hostname))


@api.put("/clusters/<hostname>")
@takes(ClusterReplace)
@api.doc(responses={202: "A plan for the new configuration is being made.", 400: "Not JSON.", **BUSY, **CLOUD})
def replace_cluster(hostname: str, body: ClusterReplace) -> tuple[Json, int]:
    """Change a cluster: the whole of its parameters, and the version they were made from."""
    return _accepted(*service.replace(hostname, body))


@api.delete("/clusters/<hostname>")
@api.doc(
    responses={202: "A destroy plan is being made.", 204: "It had nothing in the cloud and is gone.", **BUSY, **CLOUD}
)
@reads(confirm="The hostname, where there is nothing in the cloud to destroy.")
def destroy_cluster(hostname: str) -> tuple[Json | str, int]:
    """Destroy a cluster by a destroy plan; with nothing in the cloud, `?confirm=<hostname>` deletes it at once."""
    cluster, operation = service.destroy(hostname, request.args.get("confirm"))
    return ("", 204) if operation is None else _accepted(cluster, operation)


@api.get("/clusters/<hostname>/plan")
@api.doc(responses={200: "The pending plan.", 404: "No such cluster, or no pending plan."})
def get_plan(hostname: str) -> Json:
    """The pending plan: in cluster words, and per resource; sensitive values are masked."""
    cluster = service.get_cluster(hostname)
    return plans.plan_json(plans.pending_plan(cluster), cluster)


@api.delete("/clusters/<hostname>/plan")
@api.doc(responses={204: "Dropped.", 404: "No such cluster, or no pending plan.", 409: BUSY[409]})
def drop_plan(hostname: str) -> tuple[str, int]:
    """Drop the pending plan: the cluster is again what it was."""
    service.drop_plan(hostname)
    return "", 204


@api.post("/clusters/<hostname>/apply")
@takes(ApplyPlan)
@api.doc(responses={202: "Being applied.", 400: "Not JSON.", **BUSY, **CLOUD})
def apply_plan(hostname: str, body: ApplyPlan) -> tuple[Json, int]:
    """Apply exactly the plan that was shown."""
    return _accepted(*service.apply(hostname, body.plan, body.confirm))


@api.post("/clusters/<hostname>/retry")
@api.doc(responses={202: "A plan is being made.", **BUSY, **CLOUD})
def retry(hostname: str) -> tuple[Json, int]:
    """Plan the present configuration again, after an error."""
    return _accepted(*service.replan(hostname))


@api.post("/clusters/<hostname>/cancel")
@api.doc(responses={202: "Asked to stop.", 404: REFUSALS[404], 409: "Nothing runs."})
def cancel(hostname: str) -> tuple[Json, int]:
    """Ask the running operation to stop; what is in flight finishes and is recorded."""
    operation = service.cancel(hostname)
    return {"operation": queries.operation_json(operation)}, 202


@api.get("/clusters/<hostname>/status")
@api.doc(responses={200: "The status.", 304: "Nothing happened since.", 404: REFUSALS[404]})
def status(hostname: str) -> Response:
    """The status, cheap enough to ask for each second; with ETag and If-None-Match."""
    row = queries.status_document(hostname)
    if request.if_none_match.contains_weak(row.etag):
        response = make_response("", 304)
    else:
        response = make_response(row.body)
        response.mimetype = "application/json"
    response.set_etag(row.etag)
    return response


@api.get("/clusters/<hostname>/operations")
@api.doc(responses={200: "A page of operations.", **REFUSALS})
@reads(**PAGES)
def operations(hostname: str) -> Json:
    """Every operation, newest first, a page at a time."""
    return queries.operations_json(service.get_cluster(hostname), _page())


@api.get("/clusters/<hostname>/operations/<operation_id>")
@api.doc(responses={200: "The operation.", 404: "No such cluster or operation."})
def operation(hostname: str, operation_id: str) -> Json:
    """One operation."""
    return queries.operation_json(queries.operation_named(hostname, operation_id)[1])


@api.get("/clusters/<hostname>/operations/<operation_id>/log")
@api.doc(
    responses={
        200: "Bytes of the log.",
        404: "No such cluster or operation.",
        422: REFUSALS[422],
        503: "Too many open streams.",
    }
)
@reads(offset="The first byte to read: 0 if absent.")
def operation_log(hostname: str, operation_id: str) -> Response:
    """The log from byte `offset`, secrets masked; `Accept: text/event-stream` follows it live."""
    cluster, found = queries.operation_named(hostname, operation_id)
    offset = _whole("offset", 0)
    if offset < 0:
        raise Invalid("The query has errors.", [FieldError("offset", "must not be negative")])
    if request.accept_mimetypes.best_match(["text/plain", "text/event-stream"]) == "text/event-stream":
        return logs.stream(cluster, found, logs.resume_offset(offset))
    return logs.answer(cluster, found, offset)


@api.get("/clusters/<hostname>/nodes")
@api.doc(responses={200: "The nodes.", 404: REFUSALS[404], **CLOUD})
def nodes(hostname: str) -> Json:
    """Every host: what the cloud says of its server, or ABSENT."""
    found = nodes_json(service.get_cluster(hostname))
    return {"items": found, "total": len(found), "next": None}


@api.get("/clusters/<hostname>/nodes/<name>/console")
@api.doc(responses={200: "Text.", 404: "No such cluster, or no server.", 422: REFUSALS[422], **CLOUD})
@reads(lines=f"How many lines: 200 if absent, at most {MOST_CONSOLE_LINES}.")
def node_console(hostname: str, name: str) -> Response:
    """The last `lines` lines of a node's console."""
    lines = _whole("lines", 200)
    if not 1 <= lines <= MOST_CONSOLE_LINES:
        raise Invalid("The query has errors.", [FieldError("lines", f"must be 1 to {MOST_CONSOLE_LINES}")])
    response = make_response(console_text(service.get_cluster(hostname), name, lines))
    response.mimetype = "text/plain"
    return response


@api.get("/clusters/<hostname>/secrets")
@api.doc(responses={200: "The passwords.", 404: "No such cluster, or nothing was built."})
def secrets(hostname: str) -> Response:
    """FreeIPA, guest and sudoer passwords; each reading is audited."""
    response = make_response(service.state_secrets(service.get_cluster(hostname)))
    response.headers["Cache-Control"] = "no-store"
    return response


@api.get("/clusters/<hostname>/state/versions")
@api.doc(responses={200: "A page of kept states.", **REFUSALS})
@reads(**PAGES)
def state_versions(hostname: str) -> Json:
    """Every kept Terraform state, newest first, a page at a time."""
    return queries.state_versions_json(service.get_cluster(hostname), _page())


@api.get("/clusters/<hostname>/timeline")
@api.doc(responses={200: "A page of events.", **REFUSALS})
@reads(**PAGES)
def timeline(hostname: str) -> Json:
    """Every change of status, oldest first, a page at a time: when, why, by whom."""
    return queries.timeline_json(service.get_cluster(hostname), _page())


@api.get("/available-resources")
@api.doc(responses={200: "What the cloud offers.", **REFUSALS, **CLOUD})
@reads(
    project=f"A project's name: {DEFAULT_PROJECT} if absent.",
    template="A cluster template: says which flavor each tag can use.",
    hostname="A cluster: what it holds counts as free.",
)
def available_resources() -> Json:
    """What the project's cloud offers."""
    return available.available_resources_json(
        request.args.get("project", DEFAULT_PROJECT), request.args.get("hostname"), request.args.get("template")
    )


@api.get("/templates")
@api.doc(responses={200: "The cluster templates."})
def templates() -> Json:
    """The cluster templates, shortly."""
    found = equipment().templates.values()
    items = [{"name": t.name, "title": t.title, "description": t.description} for t in found]
    return {"items": items, "total": len(items), "next": None}


@api.get("/templates/<name>")
@api.doc(responses={200: "The template.", 404: "There is no such template."})
def template(name: str) -> Json:
    """One template: its parameters, and a sensible cluster to begin with."""
    found = equipment().template(name)
    return {
        "name": found.name,
        "title": found.title,
        "description": found.description,
        "parameters": [parameter.model_dump(mode="json") for parameter in found.parameters],
        "defaults": found.default_parameters,
        "tag_requirements": {tag: need.model_dump() for tag, need in found.tag_requirements.items()},
        "versions": list(found.module.versions),
        "probes": [probe.model_dump(mode="json") for probe in found.probes],
    }
