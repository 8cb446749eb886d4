"""S3A's copies, by which Spark renames what it has written: it hands on the key that an object is encrypted with, and the AWS SDK 1 refuses
to name a key over plain HTTP, which only a laptop speaks. So Hadoop's HEAD is not told which key of KMS it is.

Not a fault of moto: the bucket's own encryption is put on the copy either way. Called by `repairs.apply`.
"""

from __future__ import annotations

from typing import Any

from moto.s3.responses import S3Response

_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
_head_object = S3Response.head_object


def _without_key(self: Any, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
    status, told, body = _head_object(self, bucket_name, query, key_name, headers)
    if str(self.headers.get("User-Agent", "")).startswith("Hadoop "):
        told = {name: value for name, value in told.items() if name.lower() != _HEADER}
    return status, told, body


def apply() -> None:
    """Mend moto's S3 in this process; calling again changes nothing."""
    S3Response.head_object = _without_key
