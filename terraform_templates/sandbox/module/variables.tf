# The names and rules of Magic Castle's inputs.

variable "cluster_name" {
  type = string
  validation {
    condition     = can(regex("^[a-z][0-9a-z-]{1,40}$", var.cluster_name))
    error_message = "cluster_name must match ^[a-z][0-9a-z-]{1,40}$."
  }
}

variable "domain" {
  type = string
  validation {
    condition     = can(regex("^[a-z][0-9a-z-.]*$", var.domain))
    error_message = "domain must match ^[a-z][0-9a-z-.]*$."
  }
}

variable "image" {
  type        = string
  description = "The exact name of an image."
}

variable "instances" {
  type = map(object({
    type      = string
    tags      = list(string)
    count     = optional(number, 1)
    image     = optional(string)
    disk_size = optional(number)
    disk_type = optional(string)
  }))
  validation {
    condition     = alltrue([for prefix, spec in var.instances : spec.count >= 0 && floor(spec.count) == spec.count])
    error_message = "The count of each group of instances must be a whole number, at least 0."
  }
  validation {
    condition     = alltrue([for prefix, spec in var.instances : can(regex("^[a-z][0-9a-z-]{1,63}$", "${prefix}${spec.count}"))])
    error_message = "The name of each group with its count must match ^[a-z][0-9a-z-]{1,63}$."
  }
  validation {
    condition = length(flatten([for prefix, spec in var.instances : [for i in range(spec.count) : "${prefix}${i + 1}"]])) == length(toset(
      flatten([for prefix, spec in var.instances : [for i in range(spec.count) : "${prefix}${i + 1}"]])
    ))
    error_message = "Two groups of instances make a host of the same name."
  }
  validation {
    condition     = sum(concat([0], [for prefix, spec in var.instances : spec.count if contains(spec.tags, "proxy")])) <= 1
    error_message = "At most one instance can have the tag proxy."
  }
}

variable "volumes" {
  type = map(map(object({
    size          = optional(number)
    type          = optional(string)
    snapshot      = optional(string)
    enable_resize = optional(bool, false)
    managed       = optional(bool, true)
  })))
  default = {}
}

variable "public_keys" {
  type = list(string)
  validation {
    condition     = length(var.public_keys) > 0
    error_message = "At least one public key is needed."
  }
}

variable "nb_users" {
  type    = number
  default = 0
  validation {
    condition     = var.nb_users >= 0
    error_message = "nb_users can't be negative."
  }
}

variable "guest_passwd" {
  type      = string
  default   = ""
  sensitive = true
  validation {
    condition     = var.guest_passwd == "" || length(var.guest_passwd) >= 8
    error_message = "guest_passwd must be empty or have at least 8 characters."
  }
}

variable "sudoer_username" {
  type    = string
  default = "centos"
}

variable "hieradata" {
  type      = string
  default   = ""
  sensitive = true
  nullable  = false
}

variable "firewall_rules" {
  type = map(object({
    from_port = number
    to_port   = number
    tag       = string
    ethertype = optional(string, "IPv4")
    protocol  = optional(string, "tcp")
    cidr      = optional(string, "0.0.0.0/0")
  }))
  default = {
    ssh         = { from_port = 22, to_port = 22, tag = "login" }
    http        = { from_port = 80, to_port = 80, tag = "proxy" }
    https       = { from_port = 443, to_port = 443, tag = "proxy" }
    GlobusHTTPS = { from_port = 443, to_port = 443, tag = "dtn" }
    GridFTP     = { from_port = 50000, to_port = 51000, tag = "dtn" }
  }
}

variable "os_ext_network" {
  type        = string
  default     = null
  description = "The name of the external network; null takes the only one."
}

variable "os_floating_ips" {
  type        = map(string)
  default     = {}
  description = "Addresses that the project has already, by host."
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "A subnet of the project; null makes a network for the cluster."
}
