data "openstack_networking_network_v2" "external" {
  count    = var.subnet_id == null || length(local.new_addresses) > 0 ? 1 : 0
  name     = var.os_ext_network
  external = true
}

data "openstack_networking_subnet_v2" "given" {
  count     = var.subnet_id == null ? 0 : 1
  subnet_id = var.subnet_id
}

locals {
  own_network   = var.subnet_id == null ? 1 : 0
  network_id    = one(concat(openstack_networking_network_v2.cluster[*].id, data.openstack_networking_subnet_v2.given[*].network_id))
  subnet_id     = one(concat(openstack_networking_subnet_v2.cluster[*].id, data.openstack_networking_subnet_v2.given[*].id))
  new_addresses = toset([for host in keys(local.public_hosts) : host if !contains(keys(var.os_floating_ips), host)])

  public_ip = {
    for host in keys(local.public_hosts) : host => contains(keys(var.os_floating_ips), host) ?
    var.os_floating_ips[host] : openstack_networking_floatingip_v2.public[host].address
  }
}

resource "openstack_networking_network_v2" "cluster" {
  count       = local.own_network
  name        = "${var.cluster_name}-network"
  description = local.hostname
}

resource "openstack_networking_subnet_v2" "cluster" {
  count       = local.own_network
  name        = "${var.cluster_name}-subnet"
  description = local.hostname
  network_id  = openstack_networking_network_v2.cluster[0].id
  cidr        = "10.0.0.0/22"
  ip_version  = 4
}

resource "openstack_networking_router_v2" "cluster" {
  count               = local.own_network
  name                = "${var.cluster_name}-router"
  description         = local.hostname
  external_network_id = data.openstack_networking_network_v2.external[0].id
}

resource "openstack_networking_router_interface_v2" "cluster" {
  count     = local.own_network
  router_id = openstack_networking_router_v2.cluster[0].id
  subnet_id = openstack_networking_subnet_v2.cluster[0].id
}

resource "openstack_networking_port_v2" "host" {
  for_each    = local.hosts
  name        = "${var.cluster_name}-${each.key}"
  description = local.hostname
  network_id  = local.network_id
  security_group_ids = concat(
    [openstack_networking_secgroup_v2.cluster.id],
    [for tag, group in openstack_networking_secgroup_v2.tag : group.id if contains(each.value.tags, tag)],
  )

  fixed_ip {
    subnet_id = local.subnet_id
  }
}

resource "openstack_networking_floatingip_v2" "public" {
  for_each    = local.new_addresses
  description = local.hostname
  pool        = data.openstack_networking_network_v2.external[0].name
}

resource "openstack_networking_floatingip_associate_v2" "public" {
  for_each    = local.public_hosts
  floating_ip = local.public_ip[each.key]
  port_id     = openstack_networking_port_v2.host[each.key].id
  depends_on  = [openstack_networking_router_interface_v2.cluster]
}
