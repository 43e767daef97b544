data "openstack_blockstorage_volume_v3" "existing" {
  for_each = { for key, volume in local.volumes : key => volume if !volume.managed }
  name     = "${var.cluster_name}-${each.key}"
}

resource "openstack_blockstorage_volume_v3" "managed" {
  for_each             = { for key, volume in local.volumes : key => volume if volume.managed }
  name                 = "${var.cluster_name}-${each.key}"
  description          = local.hostname
  size                 = each.value.size
  volume_type          = each.value.type
  snapshot_id          = each.value.snapshot
  enable_online_resize = each.value.enable_resize
  metadata             = { mchub_hostname = local.hostname }

  lifecycle {
    precondition {
      condition     = each.value.size != null
      error_message = "Volume ${each.key} needs a size."
    }
  }
}

resource "openstack_compute_volume_attach_v2" "attached" {
  for_each    = local.volumes
  instance_id = openstack_compute_instance_v2.host[each.value.host].id
  volume_id   = each.value.managed ? openstack_blockstorage_volume_v3.managed[each.key].id : data.openstack_blockstorage_volume_v3.existing[each.key].id
}
