"""What each tested operation of the embedded AWS asks of its caller: IAM's actions on which resources, declared one table a service.

`NEEDS` has exactly the operations of `operations.json` (a test compares them). Read by `judge`.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshplane_cli.local.access.operations import account, compute, messaging, storage
from meshplane_cli.local.access.operations.call import Call, Need, Table

NEEDS: Mapping[str, Table] = {
    "cloudformation": account.CLOUDFORMATION,
    "dynamodb": storage.DYNAMODB,
    "ec2": account.EC2,
    "events": messaging.EVENTS,
    "glue": compute.GLUE,
    "iam": account.IAM,
    "kms": storage.KMS,
    "lambda": compute.LAMBDA,
    "logs": messaging.LOGS,
    "monitoring": messaging.METRICS,
    "s3": storage.S3,
    "scheduler": messaging.SCHEDULER,
    "secretsmanager": storage.SECRETS,
    "sns": messaging.SNS,
    "sqs": messaging.SQS,
    "ssm": storage.SSM,
    "states": compute.STATES,
    "sts": account.STS,
    "tagging": account.TAGGING,
}
"""Signing name of a service → operation → what it needs."""

__all__ = ["NEEDS", "Call", "Need"]
