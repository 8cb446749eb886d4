"""The secure baseline on the laptop where Terraform has not made it: the same resources from the same policy documents, published through
the same typed contract, in a second instead of minutes. tests/baseline compares the two.

Idempotent; called by `deploy` with ordinary AWS clients.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from meshplane.model.baseline import Baseline
from meshplane.model.domain import Domain
from meshplane.model.naming import LAYERS, Naming
from meshplane_cli.baseline import deploying_repository, reachable
from meshplane_cli.local import seed_access, seed_network
from meshplane_cli.local.seed_buckets import buckets
from meshplane_cli.releases import provenance

Clients = Callable[[str], Any]


def seed(client: Clients, naming: Naming, domain: Domain, root: Path) -> Baseline:
    """Make what is missing and publish it; the published baseline. What Terraform or an earlier `up` published is left alone.

    `root` is the checkout, whose remote may say which repository deploys.
    """
    parameters = Baseline.parameters(naming)
    published = _published(client, parameters)
    if all(published.values()):
        return Baseline.read(published)
    places, repository = reachable(domain), deploying_repository(domain, provenance(root), local=True)
    key = seed_access.key(client("kms"), naming, domain.domain_name)
    buckets(client("s3"), naming, key)
    made = seed_network.network(client("ec2"), naming, places)
    connections = seed_network.connections(client("glue"), naming, made, places)
    iam = client("iam")
    seed_network.flow_logs(client, naming, key, seed_access.flow_log_role(iam, naming))
    boundary = seed_access.boundary(iam, naming)
    seed_access.github(iam, naming, repository)
    seed_access.log_delivery(client("logs"), naming)
    for layer in LAYERS:
        _database(client, naming, layer)
    values = {
        "kms_key_arn": key,
        "boundary_arn": boundary,
        "connections": ",".join(connections),
        "subnet_arns": ",".join(naming.arn("ec2", f"subnet/{subnet}") for subnet in made.subnets),
        "security_group_arns": naming.arn("ec2", f"security-group/{made.workers}"),
    }
    for name, value in values.items():
        kind = "String" if name in ("kms_key_arn", "boundary_arn") else "StringList"
        text = "Published by the baseline for the control plane"
        client("ssm").put_parameter(Name=parameters[name], Value=value, Type=kind, Description=text, Overwrite=True)
    return Baseline.read(values)


def _published(client: Clients, parameters: Any) -> dict[str, str]:
    found = client("ssm").get_parameters(Names=list(parameters.values()))["Parameters"]
    values = {row["Name"]: row["Value"] for row in found}
    return {name: values.get(parameter, "") for name, parameter in parameters.items()}


def _database(client: Clients, naming: Naming, layer: str) -> None:
    glue, name = client("glue"), naming.database(layer)
    with suppress(glue.exceptions.AlreadyExistsException):  # from an earlier, interrupted `up`
        glue.create_database(DatabaseInput={"Name": name, "LocationUri": f"s3://{naming.bucket(layer)}/", "Description": f"Layer {layer}"})
