# B4: state machines of projects log to /aws/vendedlogs/states/. The policy that lets the service write there is made here, once for all
# of them, so that no role of a project needs logs:PutResourcePolicy.

resource "aws_cloudwatch_log_resource_policy" "states" {
  policy_name     = local.names.log_delivery_policy
  policy_document = templatefile("${path.module}/policies/log_delivery.json.tftpl", local.words)
}
