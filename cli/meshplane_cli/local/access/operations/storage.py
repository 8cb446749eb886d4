"""S3, DynamoDB, KMS, Secrets Manager, Systems Manager: what each operation asks of its caller (Service Authorization Reference)."""

from __future__ import annotations

from collections.abc import Iterable

from meshplane_cli.local.access.operations.call import Call, Need, Needs, Table, as_action, on, on_all


# ---- S3: action names differ, objects under a domain key ask for the key too ---------------------------------------------------------
def _bucket(call: Call) -> str:
    return f"arn:aws:s3:::{call['Bucket']}"


def _object(call: Call) -> str:
    return f"arn:aws:s3:::{call['Bucket']}/{call['Key']}"


def _key(call: Call, *actions: str) -> list[Need]:
    """The bucket's default key, which S3 uses in the caller's name."""
    key = call.world.bucket_key(str(call["Bucket"]))
    via = {"kms:viaservice": (f"s3.{call.world.region}.amazonaws.com",)}
    return [Need(action, call.world.key_arn(key), via) for action in actions] if key else []


def _read(call: Call) -> Iterable[Need]:
    """Whoever may not list is not told that an object is absent."""
    yield Need("s3:GetObjectVersion" if call["versionId"] else "s3:GetObject", _object(call))
    if call["versionId"] or call.world.object_is_there(str(call["Bucket"]), str(call["Key"])):
        yield from _key(call, "kms:Decrypt")
    else:
        yield Need("s3:ListBucket", _bucket(call), {"s3:prefix": (str(call["Key"]),)})


def _write(call: Call) -> Iterable[Need]:
    yield Need("s3:PutObject", _object(call))
    yield from call.tagged("s3:PutObjectTagging", _object(call), "x-amz-tagging")
    yield from _key(call, "kms:GenerateDataKey")


def _write_parts(call: Call) -> Iterable[Need]:
    """Parts are decrypted to be joined ("Uploading and copying objects using multipart upload", permissions)."""
    yield Need("s3:PutObject", _object(call))
    yield from _key(call, "kms:GenerateDataKey", "kms:Decrypt")


def _copy(call: Call) -> Iterable[Need]:
    bucket, _, key = str(call["CopySource"]).lstrip("/").partition("/")
    source = Call(call.operation, {"Bucket": bucket, "Key": key.partition("?versionId=")[0]}, call.world)
    yield from _read(source)
    yield from _write(call)


def _delete_many(call: Call) -> Iterable[Need]:
    return [Need("s3:DeleteObject", f"{_bucket(call)}/{key}") for key in call["Keys"]]


def _listing(action: str) -> Needs:
    """By its prefix; without one the key is absent from the request."""

    def needs(call: Call) -> Iterable[Need]:
        prefix = call.parameters.get("prefix")
        return [Need(action, _bucket(call), {} if prefix is None else {"s3:prefix": (str(prefix),)})]

    return needs


_BUCKET_WORDS = {  # operations whose action is called otherwise
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_BUCKET = (
    "CreateBucket DeleteBucket GetBucketAcl GetBucketLocation GetBucketLogging GetBucketOwnershipControls GetBucketPolicy"
    " GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite PutBucketLogging PutBucketOwnershipControls"
    " PutBucketPolicy PutBucketTagging PutBucketVersioning"
)
S3: Table = {
    **on("s3", _bucket, *_BUCKET.split()),
    **{operation: as_action(f"s3:{action}", _bucket) for operation, action in _BUCKET_WORDS.items()},
    **on("s3", _object, "AbortMultipartUpload", "GetObjectTagging", "PutObjectTagging"),
    "ListBuckets": as_action("s3:ListAllMyBuckets", lambda call: "*"),
    "ListObjects": _listing("s3:ListBucket"),
    "ListObjectsV2": _listing("s3:ListBucket"),
    "ListObjectVersions": _listing("s3:ListBucketVersions"),
    "ListParts": as_action("s3:ListMultipartUploadParts", _object),
    "GetObject": _read,
    "HeadObject": _read,
    "PutObject": _write,
    "CreateMultipartUpload": _write,
    "UploadPart": _write_parts,
    "CompleteMultipartUpload": _write_parts,
    "CopyObject": _copy,
    "UploadPartCopy": _copy,
    "DeleteObject": lambda call: [Need("s3:DeleteObjectVersion" if call["versionId"] else "s3:DeleteObject", _object(call))],
    "DeleteObjects": _delete_many,
}


# ---- DynamoDB ----------------------------------------------------------------------------------------------------------------------
def _table_arn(call: Call, name: str) -> str:
    return name if name.startswith("arn:") else call.world.arn("dynamodb", f"table/{name}")


def _table(call: Call) -> str:
    return _table_arn(call, str(call["TableName"]))


def _table_or_index(call: Call) -> str:
    return _table(call) + (f"/index/{call['IndexName']}" if call["IndexName"] else "")


def _tables(call: Call) -> Iterable[Need]:
    return [Need(f"dynamodb:{call.operation}", _table_arn(call, name)) for name in call["RequestItems"]]


def _transaction(call: Call) -> Iterable[Need]:
    """Each item by the operation that it is."""
    words = {"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
    rows = [(words[word], item["TableName"]) for row in call["TransactItems"] for word, item in row.items()]
    return [Need(f"dynamodb:{word}", _table_arn(call, name)) for word, name in rows]


_TABLE = (
    "CreateTable DeleteItem DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive GetItem PutItem UpdateContinuousBackups"
    " UpdateItem UpdateTable UpdateTimeToLive"
)
DYNAMODB: Table = {
    **on("dynamodb", _table, *_TABLE.split()),
    **on("dynamodb", _table_or_index, "Query", "Scan"),
    **on("dynamodb", lambda call: str(call["ResourceArn"]), "ListTagsOfResource", "TagResource"),
    **on_all("dynamodb", "ListTables"),
    "BatchGetItem": _tables,
    "BatchWriteItem": _tables,
    "TransactGetItems": _transaction,
    "TransactWriteItems": _transaction,
}


# ---- KMS, secrets, parameters --------------------------------------------------------------------------------------------------------
def _kms_key(call: Call) -> str:
    return call.world.key_arn(str(call["KeyId"]))


def _alias(call: Call) -> Iterable[Need]:
    """On the alias and on the key."""
    alias = call.world.arn("kms", str(call["AliasName"]))
    return [Need("kms:CreateAlias", alias), Need("kms:CreateAlias", call.world.key_arn(str(call["TargetKeyId"])))]


_KEY = "Decrypt DescribeKey EnableKeyRotation Encrypt GenerateDataKey GetKeyPolicy GetKeyRotationStatus ListResourceTags PutKeyPolicy"
KMS: Table = {
    **on("kms", _kms_key, *_KEY.split()),
    **on_all("kms", "CreateKey", "ListAliases", "ListKeys"),
    "CreateAlias": _alias,
}
SECRETS: Table = {
    **on("secretsmanager", lambda call: call.world.secret_arn(str(call["SecretId"])), "DescribeSecret", "GetSecretValue", "PutSecretValue"),
    **on("secretsmanager", lambda call: call.world.secret_arn(str(call["Name"])), "CreateSecret"),
}


def _parameter(call: Call, name: str) -> str:
    return call.world.arn("ssm", f"parameter/{name.lstrip('/')}")


def _parameters(call: Call) -> Iterable[Need]:
    return [Need(f"ssm:{call.operation}", _parameter(call, name)) for name in call["Names"]]


_OF_PARAMETER = ("AddTagsToResource", "ListTagsForResource")
SSM: Table = {
    **on("ssm", lambda call: _parameter(call, str(call["Name"])), "DeleteParameter", "GetParameter", "PutParameter"),
    **on("ssm", lambda call: _parameter(call, str(call["ResourceId"])), *_OF_PARAMETER),
    **on("ssm", lambda call: _parameter(call, str(call["Path"])), "GetParametersByPath"),
    **on_all("ssm", "DescribeParameters"),
    "DeleteParameters": _parameters,
    "GetParameters": _parameters,
}
