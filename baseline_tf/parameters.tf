# What the functions read (functions/meshplane/model/baseline.py): the one place where Terraform and SAM meet.

locals {
  published = {
    kms_key_arn         = { type = "String", value = aws_kms_key.domain.arn }
    boundary_arn        = { type = "String", value = aws_iam_policy.boundary.arn }
    connections         = { type = "StringList", value = join(",", [for zone in var.zones : aws_glue_connection.network[zone].name]) }
    subnet_arns         = { type = "StringList", value = join(",", [for zone in var.zones : aws_subnet.private[zone].arn]) }
    security_group_arns = { type = "StringList", value = aws_security_group.workers.arn }
  }
}

resource "aws_ssm_parameter" "published" {
  # checkov:skip=CKV2_AWS_34:names and ARNs, no secrets; read at every cold start
  for_each = local.published

  name        = replace(local.names.baseline_parameter, "{name}", each.key)
  description = "Published by the baseline for the control plane"
  type        = each.value.type
  value       = each.value.value
  tags        = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
