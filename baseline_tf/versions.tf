terraform {
  required_version = ">= 1.11, < 2" # native S3 locking (use_lockfile)

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # Filled by `meshplane baseline init` from domain.json: bucket, key, region, use_lockfile.
  backend "s3" {}
}

provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.account_id] # dev, int and prod are separate accounts: the wrong credentials change nothing
}
