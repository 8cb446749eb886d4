# B4: one Glue database per layer; tables are the reconciler's.

resource "aws_glue_catalog_database" "layer" {
  for_each = local.databases

  name         = each.value
  description  = "Layer ${each.key}"
  location_uri = "s3://${local.buckets[each.key]}/"
  tags         = local.tags

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
