# B2: one key for the domain's data, logs and notices.

resource "aws_kms_key" "domain" {
  description             = "${var.domain_name} ${var.env}: the domain's data, logs and notices"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = templatefile("${path.module}/policies/key.json.tftpl", local.words)
  tags                    = local.tags

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_kms_alias" "domain" {
  name          = local.names.kms_alias
  target_key_id = aws_kms_key.domain.key_id
}
