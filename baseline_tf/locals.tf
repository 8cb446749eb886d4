# Every name from the one file of patterns; the tags of everything.

module "names" {
  source       = "./modules/naming"
  abbr         = var.domain_abbr
  country_code = var.country_code
  account_id   = var.account_id
  env          = var.env
}

locals {
  names     = module.names.of
  buckets   = module.names.buckets
  databases = module.names.databases

  # git_sha, deployed_by and repository name the run that made a resource; each resource ignores later values, so that a commit
  # that does not change it does not touch it.
  tags = {
    domain      = var.domain_name
    env         = var.env
    managed_by  = "meshplane-baseline"
    git_sha     = var.git_sha
    deployed_by = var.deployed_by
    repository  = var.repository
  }

  # What the documents in policies/ may name. The embedded AWS fills the same files (cli/meshplane_cli/local/seed_policies.py).
  words = merge(
    {
      abbr         = var.domain_abbr
      account_id   = var.account_id
      country_code = var.country_code
      env          = var.env
      region       = var.aws_region
      repository   = var.repository
      key_users    = join("", [for arn in var.key_users : ", ${jsonencode(arn)}"])
      kms_alias    = local.names.kms_alias
      boundary     = local.names.boundary
      state_bucket = local.names.terraform_state_bucket
      state_key    = local.names.terraform_state_key
      stack        = local.names.stack
      role_path    = local.names.role_path
    },
    { for purpose, bucket in local.buckets : "${purpose}_bucket" => bucket },
  )
}
