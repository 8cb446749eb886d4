# B3: what was talked in the VPC, encrypted and kept 90 days.

resource "aws_cloudwatch_log_group" "flow" {
  # checkov:skip=CKV_AWS_338:90 days are what REQUIREMENTS B3 asks for
  name              = local.names.flow_log_group
  retention_in_days = 90
  kms_key_id        = aws_kms_key.domain.arn
  tags              = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_iam_role" "flow_logs" {
  name               = local.names.flow_log_role
  description        = "VPC flow logs write to their log group"
  assume_role_policy = templatefile("${path.module}/policies/flow_logs_trust.json.tftpl", local.words)
  tags               = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_iam_role_policy" "flow_logs" {
  name   = "write"
  role   = aws_iam_role.flow_logs.id
  policy = templatefile("${path.module}/policies/flow_logs.json.tftpl", merge(local.words, { flow_log_group = local.names.flow_log_group }))
}

resource "aws_flow_log" "vpc" {
  vpc_id               = aws_vpc.this.id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow.arn
  iam_role_arn         = aws_iam_role.flow_logs.arn
  tags                 = merge(local.tags, { Name = local.names.network })

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
