# The one version that CI tests with: provider_schema.json is of it, and the embedded AWS is tried with its calls.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
