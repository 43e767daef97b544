# One group for what may pass between the cluster's hosts, and one for each tag that a firewall rule names.

locals {
  rules      = { for name, rule in var.firewall_rules : name => rule if contains(local.used_tags, rule.tag) }
  rules_tags = toset([for rule in values(local.rules) : rule.tag])
}

resource "openstack_networking_secgroup_v2" "cluster" {
  name        = "${var.cluster_name}-cluster"
  description = local.hostname
}

resource "openstack_networking_secgroup_rule_v2" "inside" {
  direction         = "ingress"
  ethertype         = "IPv4"
  description       = local.hostname
  remote_group_id   = openstack_networking_secgroup_v2.cluster.id
  security_group_id = openstack_networking_secgroup_v2.cluster.id
}

resource "openstack_networking_secgroup_v2" "tag" {
  for_each    = local.rules_tags
  name        = "${var.cluster_name}-${each.key}"
  description = local.hostname

  # A group that goes away leaves the ports first: Neutron refuses to delete one in use (409), and the provider
  # would ask again for ten minutes before the ports' turn came.
  lifecycle {
    create_before_destroy = true
  }
}

resource "openstack_networking_secgroup_rule_v2" "outside" {
  for_each          = local.rules
  direction         = "ingress"
  ethertype         = each.value.ethertype
  protocol          = each.value.protocol
  port_range_min    = each.value.from_port
  port_range_max    = each.value.to_port
  remote_ip_prefix  = each.value.cidr
  description       = local.hostname
  security_group_id = openstack_networking_secgroup_v2.tag[each.value.tag].id
}
