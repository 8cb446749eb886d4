"""AWS::DynamoDB::Table."""

from __future__ import annotations

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, only, tag_list


def _table(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    dynamodb = target.client("dynamodb")
    name = properties.get("TableName") or target.name(logical)
    if earlier != name:
        shape = only(properties, ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "ProvisionedThroughput"))
        if "SSESpecification" in properties:
            shape["SSESpecification"] = {"Enabled": bool(properties["SSESpecification"].get("SSEEnabled"))}
        dynamodb.create_table(TableName=name, Tags=tag_list(properties), **shape)
    else:
        _indexes(target, name, properties)
    if properties.get("TimeToLiveSpecification"):
        wanted = properties["TimeToLiveSpecification"]
        present = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if (present["TimeToLiveStatus"] == "ENABLED") != bool(wanted["Enabled"]):
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
    if properties.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"])
    return Made(name, {"Arn": target.arn("dynamodb", f"table/{name}")})


def _indexes(target: Target, name: str, properties: Properties) -> None:
    """CloudFormation changes indexes one at a time; an index whose definition changed is dropped and made anew."""
    dynamodb = target.client("dynamodb")
    present = {row["IndexName"]: row for row in dynamodb.describe_table(TableName=name)["Table"].get("GlobalSecondaryIndexes", [])}
    wanted = {row["IndexName"]: row for row in properties.get("GlobalSecondaryIndexes", [])}

    def same(index: str) -> bool:
        return all(present[index].get(key) == wanted[index].get(key) for key in ("KeySchema", "Projection"))

    stay = {index for index in present if index in wanted and same(index)}
    changes = [{"Delete": {"IndexName": index}} for index in present if index not in stay]
    changes += [{"Create": row} for index, row in wanted.items() if index not in stay]
    for change in changes:
        definitions = properties["AttributeDefinitions"]
        dynamodb.update_table(TableName=name, AttributeDefinitions=definitions, GlobalSecondaryIndexUpdates=[change])


def _remove(target: Target, ref: str) -> None:
    target.client("dynamodb").delete_table(TableName=ref)


HANDLERS = {"AWS::DynamoDB::Table": Handler(_table, _remove)}
