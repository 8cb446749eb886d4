# B4: the bucket that holds Terraform's own state. `meshplane baseline init` makes it before there is a state and brings it in here;
# locking is S3's own (use_lockfile), so there is no lock table.

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV2_AWS_62:nobody listens to changes of the state
  # checkov:skip=CKV_AWS_144:the domain lives in one Region (REQUIREMENTS D1); old versions are kept 90 days
  bucket = local.names.terraform_state_bucket
  tags   = local.tags

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.domain.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  depends_on = [aws_s3_bucket_versioning.state]

  bucket = aws_s3_bucket.state.id
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
}

resource "aws_s3_bucket_policy" "state" {
  depends_on = [aws_s3_bucket_public_access_block.state]

  bucket = aws_s3_bucket.state.id
  policy = templatefile("${path.module}/policies/bucket.json.tftpl", merge(local.words, { bucket = local.names.terraform_state_bucket }))
}

resource "aws_s3_bucket_logging" "state" {
  depends_on = [aws_s3_bucket_policy.this]

  bucket        = aws_s3_bucket.state.id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "s3/state/"
}
