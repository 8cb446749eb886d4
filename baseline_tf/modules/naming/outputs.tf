output "of" {
  description = "Pattern → name, with the parts that only a resource knows still in braces."
  value       = local.of
}

output "buckets" {
  description = "Purpose → bucket."
  value       = { for purpose in ["raw", "refined", "curated", "artifacts", "logs"] : purpose => replace(local.of.bucket, "{purpose}", purpose) }
}

output "databases" {
  description = "Layer → Glue database."
  value       = { for layer in ["raw", "refined", "curated"] : layer => replace(local.of.database, "{layer}", layer) }
}
