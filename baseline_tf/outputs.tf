output "ci_roles" {
  description = "What the workflows assume: AWS_ROLE_ARN_<ENV> is the one that deploys."
  value       = { for purpose, role in aws_iam_role.ci : purpose => role.arn }
}

output "kms_key_arn" {
  description = "The domain key; parameter KmsKeyArn of template.yaml."
  value       = aws_kms_key.domain.arn
}

output "boundary_arn" {
  description = "The permissions boundary of project roles; parameter BoundaryArn of template.yaml."
  value       = aws_iam_policy.boundary.arn
}

output "buckets" {
  description = "Purpose → bucket."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.bucket }
}

output "vpc_id" {
  description = "The VPC, for the peering or transit gateway that leads to what domain.json declares reachable."
  value       = aws_vpc.this.id
}
