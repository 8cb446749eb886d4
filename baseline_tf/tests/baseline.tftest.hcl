# `terraform test` without an account: the provider is a mock, its answers are made up where the provider itself checks their shape.

mock_provider "aws" {
  override_during = plan # nothing is ever applied: what must not be destroyed could not be cleaned up

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-000000000000" }
  }
  mock_resource "aws_vpc_endpoint" {
    defaults = { prefix_list_id = "pl-12345678" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/some-role" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/f01-project-boundary-int" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/vpc/f01-data-lake-int" }
  }
  mock_resource "aws_subnet" {
    defaults = { arn = "arn:aws:ec2:eu-central-1:111122223333:subnet/subnet-1", id = "subnet-1" }
  }
  mock_resource "aws_security_group" {
    defaults = { arn = "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-1", id = "sg-1" }
  }
}

variables {
  env          = "int"
  domain_name  = "retail"
  domain_abbr  = "f01"
  country_code = "de"
  aws_region   = "eu-central-1"
  account_id   = "111122223333"
  repository   = "acme/retail"
  vpc_cidr     = "10.8.0.0/16"
  reachable = {
    shop = { kind = "mysql", host = "shop.example.org", port = 3306, database = "shop", cidr = "10.20.0.0/24" }
  }
}

run "published" {
  command = plan

  assert {
    condition     = aws_ssm_parameter.published["kms_key_arn"].value == aws_kms_key.domain.arn
    error_message = "The functions must be told the domain key."
  }
  assert {
    condition     = aws_ssm_parameter.published["boundary_arn"].value == aws_iam_policy.boundary.arn
    error_message = "The functions must be told the boundary."
  }
  assert {
    condition     = aws_ssm_parameter.published["connections"].value == "f01-network-a-int,f01-network-b-int,f01-network-c-int"
    error_message = "One network connection per zone, in the order of the zones."
  }
  assert {
    condition     = length(split(",", aws_ssm_parameter.published["subnet_arns"].value)) == 3
    error_message = "Three subnets."
  }
}

run "key_everywhere" {
  command = plan

  assert {
    condition = alltrue([
      for store in aws_s3_bucket_server_side_encryption_configuration.domain_key :
      one(one(store.rule).apply_server_side_encryption_by_default).kms_master_key_id == aws_kms_key.domain.arn
    ])
    error_message = "Every store but the access logs is encrypted with the domain key."
  }
  assert {
    condition     = aws_cloudwatch_log_group.flow.kms_key_id == aws_kms_key.domain.arn
    error_message = "Flow logs too."
  }
}

run "groups" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_egress_rule.workers_themselves.referenced_security_group_id == aws_security_group.workers.id
    error_message = "Glue's workers talk to themselves, outwards too."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.workers_s3.prefix_list_id == aws_vpc_endpoint.s3.prefix_list_id
    error_message = "S3 by its prefix list."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.reachable["shop"].cidr_ipv4 == "10.20.0.0/24"
    error_message = "A declared database is reached in its range only."
  }
}

run "an_existing_provider_is_shared" {
  command = plan
  variables {
    github_oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "An account has one provider for GitHub at most."
  }
}

run "a_route_leads_to_what_is_declared" {
  command = plan
  variables {
    routes = { "10.20.0.0/16" = "tgw-0123456789abcdef0", "10.30.0.0/16" = "pcx-0123456789abcdef0" }
  }

  assert {
    condition     = aws_route.reachable["10.20.0.0/16"].transit_gateway_id == "tgw-0123456789abcdef0"
    error_message = "By transit gateway."
  }
  assert {
    condition     = aws_route.reachable["10.30.0.0/16"].vpc_peering_connection_id == "pcx-0123456789abcdef0"
    error_message = "By peering."
  }
}

run "no_default_route" {
  command = plan
  variables {
    routes = { "0.0.0.0/0" = "tgw-0123456789abcdef0" }
  }
  expect_failures = [var.routes]
}

run "no_unknown_environment" {
  command = plan
  variables {
    env = "test"
  }
  expect_failures = [var.env]
}

run "no_wildcard_repository" {
  command = plan
  variables {
    repository = "acme/*"
  }
  expect_failures = [var.repository]
}

run "nothing_reachable_everywhere" {
  command = plan
  variables {
    reachable = { all = { kind = "kafka", host = "example.org", port = 9094, database = "", cidr = "0.0.0.0/0" } }
  }
  expect_failures = [var.reachable]
}

run "no_key_for_everybody" {
  command = plan
  variables {
    key_users = ["arn:aws:iam::111122223333:role/*"]
  }
  expect_failures = [var.key_users]
}
