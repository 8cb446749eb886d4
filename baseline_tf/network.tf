# B3: a VPC that nothing leaves: three private subnets, no internet gateway, no NAT; routes only to what domain.json declares reachable.

locals {
  subnets = { for index, zone in var.zones : zone => cidrsubnet(var.vpc_cidr, 4, index) }
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true # private names of the endpoints
  enable_dns_support   = true
  tags                 = merge(local.tags, { Name = local.names.network })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_subnet" "private" {
  for_each = local.subnets

  vpc_id            = aws_vpc.this.id
  cidr_block        = each.value
  availability_zone = "${var.aws_region}${each.key}"
  tags              = merge(local.tags, { Name = "${local.names.network}-${each.key}" })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = local.names.network })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_route_table_association" "private" {
  for_each = local.subnets

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private.id
}

resource "aws_route" "reachable" {
  for_each = var.routes

  route_table_id            = aws_route_table.private.id
  destination_cidr_block    = each.key
  transit_gateway_id        = startswith(each.value, "tgw-") ? each.value : null
  vpc_peering_connection_id = startswith(each.value, "pcx-") ? each.value : null
}
