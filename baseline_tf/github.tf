# B4: GitHub Actions without a stored key. Two roles: one plans pull requests and reads, one deploys from the environment of the same
# name. Each trusts exactly one subject; neither may change itself, the other or the provider.

locals {
  # Its ARN follows from its address, so that the roles' trust stands in the plan.
  github_provider_arn = var.github_oidc_provider_arn != "" ? var.github_oidc_provider_arn : "arn:aws:iam::${var.account_id}:oidc-provider/token.actions.githubusercontent.com"

  ci_subjects = {
    deploy = "repo:${var.repository}:environment:${var.env}"
    plan   = "repo:${var.repository}:pull_request"
  }
}

# An account has at most one provider for GitHub, which other teams may share: then its ARN is given instead.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_oidc_provider_arn == "" ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
  tags           = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_iam_role" "ci" {
  for_each   = local.ci_subjects
  depends_on = [aws_iam_openid_connect_provider.github]

  name                 = replace(local.names.ci_role, "{purpose}", each.key)
  description          = "GitHub Actions of ${var.repository}: ${each.key}"
  max_session_duration = 3600
  assume_role_policy   = templatefile("${path.module}/policies/ci_trust.json.tftpl", { provider = local.github_provider_arn, subject = each.value })
  tags                 = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_iam_role_policy" "ci" {
  for_each = local.ci_subjects

  name   = each.key
  role   = aws_iam_role.ci[each.key].id
  policy = templatefile("${path.module}/policies/ci_${each.key}.json.tftpl", local.words)
}
