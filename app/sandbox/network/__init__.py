"""Neutron, API v2.0: networks, subnets, ports, routers, security groups, floating IPs."""
