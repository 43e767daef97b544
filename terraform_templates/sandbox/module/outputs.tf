# The names and forms of Magic Castle's outputs.

# A password that stays, without another provider: decided once, at the first apply.
resource "terraform_data" "guest_passwd" {
  count = nonsensitive(var.guest_passwd == "") ? 1 : 0
  input = sensitive(substr(replace(uuid(), "-", ""), 0, 16))

  lifecycle {
    ignore_changes = [input]
  }
}

output "cluster_name" {
  value = var.cluster_name
}

output "domain" {
  value = var.domain
}

output "public_ip" {
  value = local.public_ip
}

output "public_instances" {
  value = {
    for host, spec in local.public_hosts : host => {
      public_ip = local.public_ip[host]
      local_ip  = openstack_networking_port_v2.host[host].all_fixed_ips[0]
      prefix    = spec.prefix
      tags      = spec.tags
      id        = openstack_compute_instance_v2.host[host].id
    }
  }
}

output "bastions" {
  value = { for host, spec in local.bastions : host => { public_ip = local.public_ip[host], tags = spec.tags } }
}

output "accounts" {
  sensitive = true
  value = {
    guests = {
      usernames = var.nb_users > 0 ? format("user[%0${length(tostring(var.nb_users))}d-%d]", 1, var.nb_users) : "none"
      password  = var.guest_passwd != "" ? var.guest_passwd : terraform_data.guest_passwd[0].output
    }
    sudoer = {
      username = var.sudoer_username
      password = "N/A (public ssh-key auth)"
    }
  }
}

output "hieradata" {
  sensitive = true
  value     = var.hieradata
}
