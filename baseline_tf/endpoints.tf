# B3: what a Glue job without a way to the internet needs of AWS, and only of this account.

locals {
  interface_endpoints = toset(["glue", "kms", "logs", "monitoring", "secretsmanager", "ssm", "sts"])

  # Two services are asked for actions that name no resource: there only the caller can be asked to be of this account.
  unresourced = {
    monitoring = "cloudwatch:PutMetricData"
    sts        = "sts:GetCallerIdentity"
  }
  endpoint_policies = {
    for service in setunion(local.interface_endpoints, ["s3"]) : service => templatefile(
      "${path.module}/policies/endpoint${contains(keys(local.unresourced), service) ? "_without_resource" : ""}.json.tftpl",
      merge(local.words, {
        action      = "${service == "monitoring" ? "cloudwatch" : service}:*"
        unresourced = lookup(local.unresourced, service, "")
      })
    )
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.aws_region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy            = local.endpoint_policies["s3"]
  tags              = merge(local.tags, { Name = "${local.names.network}-s3" })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.aws_region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for zone in slice(var.zones, 0, var.endpoint_zones) : aws_subnet.private[zone].id]
  security_group_ids  = [aws_security_group.endpoints.id]
  policy              = local.endpoint_policies[each.key]
  tags                = merge(local.tags, { Name = "${local.names.network}-${each.key}" })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
