# B1: five buckets. What is in a table is never expired here, nor is the delete marker of a manifest: no rule but those of logs and
# temporary files has an `expiration`, which is what would remove either.

locals {
  evented = toset(["raw", "artifacts"]) # their changes go to EventBridge

  expiring = { # prefix and days after which current objects go
    artifacts = { prefix = replace(local.names.temp_prefix, "{project}/", ""), days = 7 }
    logs      = { prefix = "", days = 365 }
  }
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV2_AWS_62:raw and artifacts send to EventBridge, which this check does not count; nobody listens to the others
  # checkov:skip=CKV_AWS_144:the domain lives in one Region (REQUIREMENTS D1); old versions are kept 90 days
  for_each = local.buckets

  bucket = each.value
  tags   = local.tags

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced" # no ACLs
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "domain_key" {
  for_each = { for purpose, bucket in local.buckets : purpose => bucket if purpose != "logs" }

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.domain.arn
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.this["logs"].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256" # the only form that S3 delivers access logs to
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each   = local.buckets
  depends_on = [aws_s3_bucket_versioning.this]

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = contains(keys(local.expiring), each.key) ? [local.expiring[each.key]] : []
    content {
      id     = "expire"
      status = "Enabled"
      filter {
        prefix = rule.value.prefix
      }
      expiration {
        days = rule.value.days
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each   = local.buckets
  depends_on = [aws_s3_bucket_public_access_block.this]

  bucket = aws_s3_bucket.this[each.key].id
  policy = templatefile("${path.module}/policies/${each.key == "logs" ? "logs_bucket" : "bucket"}.json.tftpl", merge(local.words, { bucket = each.value }))
}

resource "aws_s3_bucket_logging" "this" {
  for_each   = { for purpose, bucket in local.buckets : purpose => bucket if purpose != "logs" } # logs about logs would never end
  depends_on = [aws_s3_bucket_policy.this]

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "s3/${each.key}/"
}

resource "aws_s3_bucket_notification" "this" {
  for_each = local.evented

  bucket      = aws_s3_bucket.this[each.key].id
  eventbridge = true
}
