routes    = { "10.20.0.0/16" = "tgw-0123456789abcdef0" }                # or a peering connection, pcx-…; 0.0.0.0/0 is refused
key_users = ["arn:aws:iam::390403879407:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_DataEngineer_*"]
github_oidc_provider_arn = "arn:aws:iam::390403879407:oidc-provider/token.actions.githubusercontent.com"   # an account has at most one
