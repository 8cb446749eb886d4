# B3: who may talk to whom. Glue's driver and executors talk over all TCP ports; the way out leads to endpoints, S3 and declared places.

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id # without rules: what is put into the VPC without a group of its own reaches nothing
  tags   = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_security_group" "workers" {
  # checkov:skip=CKV2_AWS_5:attached by Glue connections, to interfaces that Glue makes for each run
  name        = local.names.network
  description = "Glue workers among themselves, to endpoints and to what domain.json declares reachable"
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = local.names.network })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_security_group" "endpoints" {
  name        = local.names.endpoint_group
  description = "Interface endpoints: answer Glue workers, ask nobody"
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = local.names.endpoint_group })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_vpc_security_group_ingress_rule" "workers_themselves" {
  # checkov:skip=CKV_AWS_24:the source is this very group; the check takes a rule without a CIDR for one that is open to all
  # checkov:skip=CKV_AWS_25:the source is this very group; the check takes a rule without a CIDR for one that is open to all
  # checkov:skip=CKV_AWS_260:the source is this very group; the check takes a rule without a CIDR for one that is open to all
  security_group_id            = aws_security_group.workers.id
  description                  = "Glue workers of one run"
  ip_protocol                  = "tcp"
  from_port                    = 0
  to_port                      = 65535
  referenced_security_group_id = aws_security_group.workers.id
}

resource "aws_vpc_security_group_egress_rule" "workers_themselves" {
  security_group_id            = aws_security_group.workers.id
  description                  = "Glue workers of one run"
  ip_protocol                  = "tcp"
  from_port                    = 0
  to_port                      = 65535
  referenced_security_group_id = aws_security_group.workers.id
}

resource "aws_vpc_security_group_egress_rule" "workers_endpoints" {
  security_group_id            = aws_security_group.workers.id
  description                  = "AWS services through their endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.endpoints.id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_workers" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "AWS services asked by Glue workers"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.workers.id
}

resource "aws_vpc_security_group_egress_rule" "workers_s3" {
  security_group_id = aws_security_group.workers.id
  description       = "S3 through the gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
}

resource "aws_vpc_security_group_egress_rule" "reachable" {
  for_each = var.reachable

  security_group_id = aws_security_group.workers.id
  description       = "${each.key}: ${each.value.kind}, declared in domain.json"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
}
