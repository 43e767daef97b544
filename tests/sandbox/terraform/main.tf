terraform {
  required_providers {
    openstack = { source = "terraform-provider-openstack/openstack", version = "3.4.0" }
  }
}
provider "openstack" {}
variable "nodes" { default = 2 }
variable "flavor" { default = "p2-3gb" }
variable "volume_size" { default = 20 }
data "openstack_networking_network_v2" "public" { name = "public" }
data "openstack_images_image_v2" "image" {
  name_regex  = "^Rocky-9$"
  most_recent = true
}
data "openstack_compute_flavor_v2" "flavor" { name = var.flavor }
resource "openstack_networking_network_v2" "net" {
  name = "t-net"
  tags = ["a", "b"]
}
resource "openstack_networking_subnet_v2" "subnet" {
  name            = "t-subnet"
  network_id      = openstack_networking_network_v2.net.id
  cidr            = "10.1.0.0/24"
  ip_version      = 4
  dns_nameservers = ["1.1.1.1"]
}
resource "openstack_networking_router_v2" "router" {
  name                = "t-router"
  external_network_id = data.openstack_networking_network_v2.public.id
}
resource "openstack_networking_router_interface_v2" "ri" {
  router_id = openstack_networking_router_v2.router.id
  subnet_id = openstack_networking_subnet_v2.subnet.id
}
resource "openstack_networking_secgroup_v2" "sg" {
  name                 = "t-sg"
  delete_default_rules = true
}
resource "openstack_networking_secgroup_rule_v2" "rule" {
  for_each          = toset(["22", "80", "443"])
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.key
  port_range_max    = each.key
  remote_ip_prefix  = "0.0.0.0/0"
  security_group_id = openstack_networking_secgroup_v2.sg.id
}
resource "openstack_networking_secgroup_rule_v2" "self" {
  direction         = "ingress"
  ethertype         = "IPv4"
  remote_group_id   = openstack_networking_secgroup_v2.sg.id
  security_group_id = openstack_networking_secgroup_v2.sg.id
}
resource "openstack_compute_keypair_v2" "key" {
  name       = "t-key"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxvJN5iCpCKyTNZDpXqmkOpGOGX1VGYrsc5mvQzRHmp me"
}
resource "openstack_networking_port_v2" "port" {
  count              = var.nodes
  name               = "t-port${count.index}"
  network_id         = openstack_networking_network_v2.net.id
  security_group_ids = [openstack_networking_secgroup_v2.sg.id]
  tags               = ["x"]
  fixed_ip { subnet_id = openstack_networking_subnet_v2.subnet.id }
}
resource "openstack_compute_instance_v2" "node" {
  count       = var.nodes
  name        = "t-node${count.index}"
  flavor_name = data.openstack_compute_flavor_v2.flavor.name
  image_id    = data.openstack_images_image_v2.image.id
  key_pair    = openstack_compute_keypair_v2.key.name
  user_data   = "#cloud-config"
  metadata    = { mchub_hostname = "t.example.org" }
  tags        = ["one"]
  network { port = openstack_networking_port_v2.port[count.index].id }
}
resource "openstack_compute_instance_v2" "bfv" {
  name      = "t-bfv"
  flavor_id = data.openstack_compute_flavor_v2.flavor.id
  network { uuid = openstack_networking_network_v2.net.id }
  security_groups = [openstack_networking_secgroup_v2.sg.name]
  block_device {
    uuid                  = data.openstack_images_image_v2.image.id
    source_type           = "image"
    destination_type      = "volume"
    volume_size           = 30
    boot_index            = 0
    delete_on_termination = true
  }
  depends_on = [openstack_networking_subnet_v2.subnet]
}
resource "openstack_blockstorage_volume_v3" "vol" {
  count                = 2
  name                 = "t-vol${count.index}"
  size                 = var.volume_size
  enable_online_resize = true
}
resource "openstack_compute_volume_attach_v2" "va" {
  count       = 2
  instance_id = openstack_compute_instance_v2.node[0].id
  volume_id   = openstack_blockstorage_volume_v3.vol[count.index].id
}
resource "openstack_networking_floatingip_v2" "fip" { pool = data.openstack_networking_network_v2.public.name }
resource "openstack_networking_floatingip_associate_v2" "fa" {
  floating_ip = openstack_networking_floatingip_v2.fip.address
  port_id     = openstack_networking_port_v2.port[0].id
  depends_on  = [openstack_networking_router_interface_v2.ri]
}
output "ip" { value = openstack_networking_floatingip_v2.fip.address }
