# B4: the most that any role of a project can ever do, whatever its own policy says: the data plane.
# The control plane may create project roles only with it (template.yaml), and may not change it.

resource "aws_iam_policy" "boundary" {
  name        = local.names.boundary
  description = "Permissions boundary of every project role: data plane only"
  policy      = templatefile("${path.module}/policies/boundary.json.tftpl", local.words)
  tags        = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
