# From groups to hosts. Everything is keyed by host, so that another node touches nothing that exists.

locals {
  hostname = "${var.cluster_name}.${var.domain}"

  hosts = merge({}, [
    for prefix, spec in var.instances : {
      for i in range(spec.count) : "${prefix}${i + 1}" => {
        prefix    = prefix
        type      = spec.type
        tags      = spec.tags
        image     = coalesce(spec.image, var.image)
        disk_size = spec.disk_size
        disk_type = spec.disk_type
      }
    }
  ]...)

  # Magic Castle: a flavor whose disk is smaller than this boots from a volume.
  root_disk_min = { for host, spec in local.hosts : host => contains(spec.tags, "mgmt") ? 20 : 10 }
  boot_volume = {
    for host, spec in local.hosts : host => {
      size = coalesce(spec.disk_size, local.root_disk_min[host])
      type = spec.disk_type
    }
    if spec.disk_size != null || data.openstack_compute_flavor_v2.used[spec.type].disk < local.root_disk_min[host]
  }

  public_hosts = { for host, spec in local.hosts : host => spec if contains(spec.tags, "public") }
  bastions     = { for host, spec in local.public_hosts : host => spec if contains(spec.tags, "login") }
  used_tags    = toset(flatten([for spec in values(var.instances) : spec.tags if spec.count > 0]))

  volumes = merge({}, flatten([
    for host, spec in local.hosts : [
      for tag, named in var.volumes : {
        for name, volume in named : "${host}-${tag}-${name}" => merge(volume, { host = host })
      } if contains(spec.tags, tag)
    ]
  ])...)
}

data "openstack_images_image_v2" "used" {
  for_each    = toset([for spec in values(local.hosts) : spec.image])
  name        = each.key
  most_recent = true
}

data "openstack_compute_flavor_v2" "used" {
  for_each = toset([for spec in values(local.hosts) : spec.type])
  name     = each.key
}

resource "openstack_compute_keypair_v2" "sudoer" {
  name       = "${var.cluster_name}-key"
  public_key = var.public_keys[0]
}

resource "openstack_compute_instance_v2" "host" {
  for_each    = local.hosts
  name        = "${var.cluster_name}-${each.key}"
  flavor_name = each.value.type
  image_id    = contains(keys(local.boot_volume), each.key) ? null : data.openstack_images_image_v2.used[each.value.image].id
  key_pair    = openstack_compute_keypair_v2.sudoer.name
  user_data = join("\n", ["#cloud-config", jsonencode({
    hostname                  = each.key
    fqdn                      = "${each.key}.int.${local.hostname}"
    prefer_fqdn_over_hostname = true
    ssh_pwauth                = false
    users = [{
      name                = var.sudoer_username
      groups              = "wheel"
      sudo                = "ALL=(ALL) NOPASSWD:ALL"
      ssh_authorized_keys = var.public_keys
    }]
  })])

  metadata = {
    mchub_hostname = local.hostname
    mchub_prefix   = each.value.prefix
  }

  network {
    port = openstack_networking_port_v2.host[each.key].id
  }

  dynamic "block_device" {
    for_each = contains(keys(local.boot_volume), each.key) ? [local.boot_volume[each.key]] : []
    content {
      uuid                  = data.openstack_images_image_v2.used[each.value.image].id
      source_type           = "image"
      destination_type      = "volume"
      boot_index            = 0
      delete_on_termination = true
      volume_size           = block_device.value.size
      volume_type           = block_device.value.type
    }
  }

  # As in Magic Castle: a new image, other keys, or a bigger boot disk never rebuild a host that exists.
  lifecycle {
    ignore_changes = [image_id, block_device, user_data]
  }
}
