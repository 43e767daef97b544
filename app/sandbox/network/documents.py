"""Neutron's resources as it writes them."""

from ipaddress import ip_network
from typing import Any

from .. import stamps
from ..cloud import Cloud
from .models import (
    ROUTER_GATEWAY,
    FloatingIP,
    Network,
    NetworkRecord,
    Port,
    Router,
    Rule,
    SecurityGroup,
    Subnet,
)

Json = dict[str, Any]


def common(record: NetworkRecord) -> Json:
    return {
        "id": record.id,
        "name": record.name,
        "tenant_id": record.project_id,
        "project_id": record.project_id,
        "description": record.description,
        "tags": record.tags,
        "created_at": stamps.with_z(record.created_at),
        "updated_at": stamps.with_z(record.updated_at),
        "revision_number": record.revision,
    }


def network(cloud: Cloud, record: Network) -> Json:
    return {
        **common(record),
        "admin_state_up": record.admin_state_up,
        "status": "ACTIVE",
        "subnets": [subnet.id for subnet in cloud.table(Subnet).where(network_id=record.id)],
        "shared": record.is_shared,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "router:external": record.is_external,
        "mtu": record.mtu,
        "port_security_enabled": record.port_security_enabled,
        "dns_domain": record.dns_domain,
    }


def subnet(cloud: Cloud, record: Subnet) -> Json:
    network = cloud.table(Network).get(record.network_id)
    return {
        **common(record),
        "network_id": record.network_id,
        "ip_version": record.ip_version,
        "subnetpool_id": None,
        "enable_dhcp": record.enable_dhcp,
        "ipv6_ra_mode": record.ipv6_ra_mode,
        "ipv6_address_mode": record.ipv6_address_mode,
        "gateway_ip": record.gateway_ip,
        "cidr": str(ip_network(record.cidr)),
        "allocation_pools": [{"start": pool.start, "end": pool.end} for pool in record.allocation_pools],
        "host_routes": record.host_routes,
        "dns_nameservers": record.dns_nameservers,
        "dns_publish_fixed_ip": False,
        "service_types": [],
        "segment_id": None,
        "router:external": network is not None and network.is_external,
    }


def fixed_ips(record: Port) -> list[Json]:
    return [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in record.fixed_ips]


def port(_cloud: Cloud, record: Port) -> Json:
    return {
        **common(record),
        "network_id": record.network_id,
        "admin_state_up": record.admin_state_up,
        "mac_address": record.mac_address,
        "status": record.status,
        "device_id": record.device_id,
        "device_owner": record.device_owner,
        "fixed_ips": fixed_ips(record),
        "security_groups": record.security_groups,
        "allowed_address_pairs": [{"mac_address": record.mac_address, **pair} for pair in record.allowed_address_pairs],
        "extra_dhcp_opts": record.extra_dhcp_opts,
        "port_security_enabled": record.port_security_enabled,
        "binding:vnic_type": record.vnic_type,
        "dns_name": record.dns_name,
        "dns_assignment": [
            {
                "ip_address": each.ip_address,
                "hostname": record.dns_name or f"host-{each.ip_address.replace('.', '-')}",
                "fqdn": f"{record.dns_name or 'host-' + each.ip_address.replace('.', '-')}.demo.cloud.",
            }
            for each in record.fixed_ips
        ],
    }


def router(cloud: Cloud, record: Router) -> Json:
    gateway: Json | None = None
    if record.gateway_network_id:
        ports = cloud.table(Port).where(device_id=record.id, device_owner=ROUTER_GATEWAY)
        gateway = {
            "network_id": record.gateway_network_id,
            "external_fixed_ips": [each for own in ports for each in fixed_ips(own)],
            "enable_snat": True,
        }
    return {
        **common(record),
        "admin_state_up": record.admin_state_up,
        "status": "ACTIVE",
        "external_gateway_info": gateway,
        "availability_zones": [],
        "availability_zone_hints": [],
        "routes": record.routes,
        "flavor_id": None,
    }


def rule(_cloud: Cloud, record: Rule) -> Json:
    document = common(record)
    del document["name"]
    return {
        **document,
        "security_group_id": record.security_group_id,
        "ethertype": record.ethertype,
        "direction": record.direction,
        "protocol": record.protocol,
        "port_range_min": record.port_range_min,
        "port_range_max": record.port_range_max,
        "remote_ip_prefix": record.remote_ip_prefix,
        "remote_address_group_id": record.remote_address_group_id,
        "normalized_cidr": record.remote_ip_prefix,
        "remote_group_id": record.remote_group_id,
        "belongs_to_default_sg": False,
    }


def security_group(cloud: Cloud, record: SecurityGroup) -> Json:
    rules = cloud.table(Rule).where(security_group_id=record.id)
    return {
        **common(record),
        "stateful": record.stateful,
        "shared": False,
        "security_group_rules": [rule(cloud, each) for each in rules],
    }


def floating_ip(cloud: Cloud, record: FloatingIP) -> Json:
    target = cloud.table(Port).get(record.port_id or "")
    document = common(record)
    del document["name"]
    details = target and {
        "name": target.name,
        "network_id": target.network_id,
        "mac_address": target.mac_address,
        "admin_state_up": target.admin_state_up,
        "status": target.status,
        "device_id": target.device_id,
        "device_owner": target.device_owner,
    }
    return {
        **document,
        "floating_ip_address": record.floating_ip_address,
        "floating_network_id": record.floating_network_id,
        "router_id": record.router_id,
        "port_id": record.port_id,
        "fixed_ip_address": record.fixed_ip_address,
        "status": record.status,
        "dns_domain": "",
        "dns_name": "",
        "port_details": details,
    }
