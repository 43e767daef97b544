"""Neutron's calls. The resources are alike, so one set of views serves them all from a table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, request

from .. import quotas
from ..cloud import Cloud
from ..errors import BadRequestError, ForbiddenError, NotFoundError
from ..identity.models import Caller
from ..wire import Json, Reply, body, caller, cloud, part, public, url
from . import access, documents, floating_ips, networks, ports, routers, security_groups
from .listing import listed
from .models import FloatingIP, Network, Port, Router, Rule, SecurityGroup, Subnet

blueprint = Blueprint("network", __name__, url_prefix="/network")


@dataclass(frozen=True)
class Resource:
    """What the views need to know of a kind of resource."""

    key: str
    kind: Any
    document: Callable[[Cloud, Any], Json]
    create: Callable[[Cloud, Caller, Json], Any]
    update: Callable[[Cloud, Caller, Any, Json], Any]
    delete: Callable[[Cloud, Caller, Any], None]


RESOURCES = {
    "networks": Resource(
        "network", Network, documents.network, networks.create_network, networks.update_network, networks.delete_network
    ),
    "subnets": Resource(
        "subnet", Subnet, documents.subnet, networks.create_subnet, networks.update_subnet, networks.delete_subnet
    ),
    "ports": Resource("port", Port, documents.port, ports.create_port, ports.update_port, ports.delete_port),
    "routers": Resource(
        "router", Router, documents.router, routers.create_router, routers.update_router, routers.delete_router
    ),
    "security-groups": Resource(
        "security_group",
        SecurityGroup,
        documents.security_group,
        security_groups.create_group,
        security_groups.update_group,
        security_groups.delete_group,
    ),
    "security-group-rules": Resource(
        "security_group_rule",
        Rule,
        documents.rule,
        security_groups.create_rule,
        security_groups.update_rule,
        security_groups.delete_rule,
    ),
    "floatingips": Resource(
        "floatingip",
        FloatingIP,
        documents.floating_ip,
        floating_ips.create_floating_ip,
        floating_ips.update_floating_ip,
        floating_ips.delete_floating_ip,
    ),
}
NAMES = ",".join(f'"{name}"' for name in RESOURCES)
COLLECTION = f"/v2.0/<any({NAMES}):collection>"

EXTENSIONS = {
    "address-group": "Address group",
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "dns-integration": "DNS Integration",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "filter-validation": "Filter parameters validation",
    "fip-port-details": "Floating IP Port Details Extension",
    "multi-provider": "Multi Provider Network",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "router": "Neutron L3 Router",
    "security-group": "security-group",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
}


@blueprint.get("/")
@public
def versions() -> Reply:
    links = [{"rel": "self", "href": url("/network/v2.0/")}]
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}


@blueprint.get("/v2.0/")
def index() -> Reply:
    names = ["networks", "subnets", "ports", "routers", "security-groups", "floatingips"]
    return {
        "resources": [
            {
                "name": RESOURCES[name].key,
                "collection": name,
                "links": [{"rel": "self", "href": url(f"/network/v2.0/{name}")}],
            }
            for name in names
        ]
    }


def document_of(resource: Resource, record: Any) -> Json:
    return {resource.key: resource.document(cloud(), record)}


@blueprint.get(COLLECTION)
def list_resources(collection: str) -> Reply:
    resource = RESOURCES[collection]
    if resource.kind is SecurityGroup:
        security_groups.default_group(cloud(), caller().project_id)
    records = access.visible(cloud(), caller(), resource.kind)
    wanted_ids = request.args.getlist("id")
    if wanted_ids:
        records = [record for record in records if record.id in wanted_ids]
    items = [resource.document(cloud(), record) for record in records]
    return listed(collection.replace("-", "_"), items, request.args, url(request.path))


@blueprint.post(COLLECTION)
def create_resource(collection: str) -> Reply:
    resource = RESOURCES[collection]
    several = collection.replace("-", "_")
    given = body()
    if isinstance(given.get(several), list):
        made = [_created(resource, each) for each in given[several]]
        return {several: [resource.document(cloud(), record) for record in made]}, 201
    return document_of(resource, _created(resource, part(resource.key))), 201


def _created(resource: Resource, values: Json) -> Any:
    _refuse_unknown(resource, values)
    project = values.get("project_id") or values.get("tenant_id")
    if project and project != caller().project_id and not caller().is_admin:
        raise ForbiddenError(
            f"(rule:create_{resource.key} and rule:create_{resource.key}:tenant_id) is disallowed by policy"
        )
    return resource.create(cloud(), caller(), values)


# Attributes that may be sent, beside those that the resource's document shows.
WRITE_ONLY = {
    "port": {"binding:host_id", "binding:profile", "mac_learning_enabled", "qos_policy_id", "value_specs"},
    "subnet": {"subnetpool_id", "use_default_subnetpool", "prefixlen"},
    "floatingip": {"subnet_id", "qos_policy_id"},
    "network": {
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
        "segments",
        "is_default",
    },
    "router": {"distributed", "ha"},
}
ATTRIBUTES = {
    "network": "name description admin_state_up shared router:external mtu port_security_enabled dns_domain"
    " availability_zone_hints",
    "subnet": "name description network_id ip_version cidr gateway_ip enable_dhcp allocation_pools dns_nameservers"
    " host_routes ipv6_ra_mode ipv6_address_mode service_types segment_id dns_publish_fixed_ip",
    "port": "name description network_id admin_state_up mac_address device_id device_owner fixed_ips security_groups"
    " allowed_address_pairs extra_dhcp_opts port_security_enabled binding:vnic_type dns_name dns_domain",
    "router": "name description admin_state_up external_gateway_info routes availability_zone_hints flavor_id",
    "security_group": "name description stateful",
    "security_group_rule": "description security_group_id direction ethertype protocol port_range_min port_range_max"
    " remote_ip_prefix remote_group_id remote_address_group_id",
    "floatingip": "description floating_network_id floating_ip_address port_id fixed_ip_address dns_name dns_domain",
}


def _refuse_unknown(resource: Resource, values: Json) -> None:
    known = {"tenant_id", "project_id", *ATTRIBUTES[resource.key].split(), *WRITE_ONLY.get(resource.key, ())}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise BadRequestError(f"Unrecognized attribute(s) '{', '.join(unknown)}'")


@blueprint.get(COLLECTION + "/<record_id>")
def show_resource(collection: str, record_id: str) -> Reply:
    resource = RESOURCES[collection]
    document = resource.document(cloud(), access.find(cloud(), caller(), resource.kind, record_id))
    fields = request.args.getlist("fields")
    return {resource.key: {name: document[name] for name in fields if name in document} if fields else document}


@blueprint.put(COLLECTION + "/<record_id>")
def update_resource(collection: str, record_id: str) -> Reply:
    resource = RESOURCES[collection]
    record, values = access.find(cloud(), caller(), resource.kind, record_id), part(resource.key)
    _refuse_unknown(resource, values)
    return document_of(resource, resource.update(cloud(), caller(), record, values))


@blueprint.delete(COLLECTION + "/<record_id>")
def delete_resource(collection: str, record_id: str) -> Reply:
    resource = RESOURCES[collection]
    resource.delete(cloud(), caller(), access.find(cloud(), caller(), resource.kind, record_id))
    return "", 204


@blueprint.put("/v2.0/routers/<router_id>/add_router_interface")
def add_router_interface(router_id: str) -> Reply:
    return routers.add_interface(cloud(), caller(), router_id, body())


@blueprint.put("/v2.0/routers/<router_id>/remove_router_interface")
def remove_router_interface(router_id: str) -> Reply:
    return routers.remove_interface(cloud(), caller(), router_id, body())


@blueprint.route(COLLECTION + "/<record_id>/tags", methods=["GET", "PUT", "DELETE"])
def all_tags(collection: str, record_id: str) -> Reply:
    record = access.find(cloud(), caller(), RESOURCES[collection].kind, record_id)
    if request.method == "GET":
        return {"tags": record.tags}
    tags = body().get("tags") if request.method == "PUT" else []
    if not isinstance(tags, list) or any(not isinstance(tag, str) or not 0 < len(tag) <= 255 for tag in tags):
        raise BadRequestError(f"Invalid input for operation: {tags} is not a valid list of tags.", "InvalidInput")
    _keep_tags(record, sorted(set(tags)))
    return ({"tags": sorted(set(tags))}, 200) if request.method == "PUT" else ("", 204)


@blueprint.route(COLLECTION + "/<record_id>/tags/<tag>", methods=["GET", "PUT", "DELETE"])
def one_tag(collection: str, record_id: str, tag: str) -> Reply:
    record = access.find(cloud(), caller(), RESOURCES[collection].kind, record_id)
    if request.method == "PUT":
        _keep_tags(record, sorted({*record.tags, tag}))
        return "", 201
    if tag not in record.tags:
        raise NotFoundError(f"Tag {tag} could not be found.", "TagNotFound")
    if request.method == "DELETE":
        _keep_tags(record, [each for each in record.tags if each != tag])
    return "", 204


def _keep_tags(record: Any, tags: list[str]) -> None:
    access.find_own(cloud(), caller(), type(record), record.id)
    cloud().table(type(record)).put(replace(record, tags=tags, updated_at=cloud().now, revision=record.revision + 1))


@blueprint.get("/v2.0/quotas/<project_id>")
@blueprint.get("/v2.0/quotas/<project_id>/details")
@blueprint.get("/v2.0/quotas/<project_id>/details.json")
def show_quota(project_id: str) -> Reply:
    limits = quotas.limits(cloud(), "network", own_project(project_id))
    if "details" not in request.path:
        return {"quota": limits}
    kinds = {name: kind for kind, name in access.QUOTA_NAMES.items()}
    return {
        "quota": {
            name: {
                "limit": limit,
                "used": access.used(cloud(), project_id, kinds[name]) if name in kinds else 0,
                "reserved": 0,
            }
            for name, limit in limits.items()
        }
    }


@blueprint.get("/v2.0/quotas")
def list_quotas() -> Reply:
    return {"quotas": []}


@blueprint.get("/v2.0/quotas/<project_id>/default")
def show_default_quota(project_id: str) -> Reply:
    own_project(project_id)
    return {"quota": quotas.DEFAULTS["network"]}


def own_project(project_id: str) -> str:
    if project_id != caller().project_id and not caller().is_admin:
        raise ForbiddenError("(rule:get_quota) is disallowed by policy")
    return project_id


@blueprint.get("/v2.0/extensions")
def list_extensions() -> Reply:
    return {"extensions": [extension_document(alias) for alias in EXTENSIONS]}


@blueprint.get("/v2.0/extensions/<alias>")
def show_extension(alias: str) -> Reply:
    if alias not in EXTENSIONS:
        raise NotFoundError(f"Extension with alias {alias} does not exist", "HTTPNotFound")
    return {"extension": extension_document(alias)}


def extension_document(alias: str) -> Json:
    return {
        "name": EXTENSIONS[alias],
        "alias": alias,
        "description": EXTENSIONS[alias],
        "updated": "2015-01-01T00:00:00-00:00",
        "links": [],
    }


@blueprint.get("/v2.0/availability_zones")
def list_availability_zones() -> Reply:
    zones = [{"name": "nova", "resource": kind, "state": "available"} for kind in ("network", "router")]
    return {"availability_zones": zones}
