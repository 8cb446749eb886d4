# --- from domain.json, written to domain.tfvars.json by `meshplane baseline init` ---

variable "env" {
  type        = string
  description = "The environment; dev, int and prod are separate accounts."
  validation {
    condition     = contains(["dev", "int", "prod"], var.env)
    error_message = "env is dev, int or prod."
  }
}

variable "domain_name" {
  type        = string
  description = "The domain's name, for people and tags."
}

variable "domain_abbr" {
  type        = string
  description = "Short name: the first part of every physical name."
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.domain_abbr))
    error_message = "domain_abbr is 2-10 lower-case letters and digits, beginning with a letter."
  }
}

variable "country_code" {
  type        = string
  description = "Two letters; part of bucket and database names."
  validation {
    condition     = can(regex("^[a-z]{2}$", var.country_code))
    error_message = "country_code is two lower-case letters."
  }
}

variable "aws_region" {
  type        = string
  description = "The one AWS Region of the domain."
}

variable "account_id" {
  type        = string
  description = "The AWS account of this environment."
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id has 12 digits: accounts in domain.json."
  }
}

variable "reachable" {
  type = map(object({
    kind     = string
    host     = string
    port     = number
    database = string
    cidr     = string
  }))
  default     = {}
  description = "Databases and brokers that jobs may reach, by name; cidr is the range that the host's addresses lie in."
  validation {
    condition     = alltrue([for place in var.reachable : can(cidrhost(place.cidr, 0)) && !endswith(place.cidr, "/0")])
    error_message = "Every reachable place needs a cidr, and never the whole internet."
  }
}

variable "repository" {
  type        = string
  description = "The GitHub repository (owner/name) whose workflows may plan and deploy."
  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository is owner/name, without wildcards: `repository` in domain.json."
  }
}

# --- of this run ---

variable "git_sha" {
  type        = string
  default     = "local"
  description = "The commit that this run applies; tags what the run creates."
}

variable "deployed_by" {
  type        = string
  default     = "local"
  description = "Who or what applies; tags what the run creates."
}

# --- what differs between environments: environments/*.tfvars ---

variable "vpc_cidr" {
  type        = string
  default     = "10.0.0.0/16"
  description = "Addresses of the VPC; the subnets' ranges are derived from it. Glue takes one address per worker."
  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 2))
    error_message = "vpc_cidr is a range that can be split into sixteenths, such as 10.0.0.0/16."
  }
}

variable "zones" {
  type        = list(string)
  default     = ["a", "b", "c"]
  description = "The three availability zones, by their letters in the Region."
  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3
    error_message = "Three different zones."
  }
}

variable "endpoint_zones" {
  type        = number
  default     = 3
  description = "In how many zones the interface endpoints stand: 1 is a third of the price, 3 outlives the loss of a zone."
  validation {
    condition     = contains([1, 2, 3], var.endpoint_zones)
    error_message = "1, 2 or 3."
  }
}

variable "routes" {
  type        = map(string)
  default     = {}
  description = "Ways out of the VPC to what domain.json declares reachable: CIDR → a transit gateway (tgw-...) or peering connection (pcx-...)."
  validation {
    condition     = alltrue([for cidr, via in var.routes : !endswith(cidr, "/0") && can(regex("^(tgw|pcx)-[0-9a-f]+$", via))])
    error_message = "Each route leads a range (never the whole internet) to a tgw-... or pcx-... id."
  }
}

variable "github_oidc_provider_arn" {
  type        = string
  default     = ""
  description = "The account's GitHub OIDC provider when it has one already (there can be only one per account); empty makes it."
}

variable "key_users" {
  type        = list(string)
  default     = []
  description = "ARN patterns of people's roles that may read and write the data beside the domain's own, paths included."
  validation {
    condition     = alltrue([for arn in var.key_users : can(regex("^arn:aws:iam::[0-9]{12}:role/[^*?]{3}", arn))])
    error_message = "Each is arn:aws:iam::<account>:role/..., with a wildcard no earlier than after three characters of the name."
  }
}
