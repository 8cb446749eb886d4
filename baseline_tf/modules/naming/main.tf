# The names of one domain in one environment, from the same file of patterns as Python and the job library. Needs no provider.

locals {
  patterns = jsondecode(file("${path.module}/../../../functions/meshplane/naming.json"))

  # What is known of the domain is filled in; what a resource adds ({purpose}, {layer} ...) stays for the caller to replace.
  of = {
    for name, pattern in local.patterns : name => replace(replace(replace(replace(
      pattern,
      "{abbr}", var.abbr),
      "{country_code}", var.country_code),
      "{account_id}", var.account_id),
    "{env}", var.env)
  }
}
