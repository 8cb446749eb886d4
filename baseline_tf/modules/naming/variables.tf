variable "abbr" {
  type        = string
  description = "domain_abbr of domain.json, the first part of every physical name."
}

variable "country_code" {
  type        = string
  description = "country_code of domain.json, part of bucket and database names."
}

variable "account_id" {
  type        = string
  description = "The AWS account of the environment, 12 digits."
}

variable "env" {
  type        = string
  description = "The environment: dev, int or prod."
}
