"""A request's parameters by the API's own names, as far as permissions depend on them. Called by `judge`.

The body is read only where something in it counts: an upload's never is.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import unescape

from meshplane_cli.local.wire import QUERY, Asked

_KEYS = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)
_PATHS = {  # what the path of a REST service names
    "lambda": (("FunctionName", r"/functions/([^/]+)"), ("UUID", r"/event-source-mappings/([^/]+)"), ("Resource", r"/tags/(.+?)/?$")),
    "scheduler": (("Name", r"^/schedules/([^/]+)"), ("Name", r"^/schedule-groups/([^/]+)"), ("ResourceArn", r"^/tags/(.+?)/?$")),
}


def parameters_of(asked: Asked, environ: Mapping[str, Any], body_of: Callable[[], bytes]) -> Mapping[str, Any]:
    """The parameters; empty ones for a body that cannot be read, which the service then refuses itself."""
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).items()}
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    if asked.service == "s3":
        return s3(asked.operation, path, query, environ, body_of)
    if asked.service in _PATHS:
        named = {name: found[1] for name, pattern in _PATHS[asked.service] if (found := re.search(pattern, path))}
        return {**query, **({} if asked.operation == "Invoke" else _json(body_of())), **named}
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return _cbor(body_of())
    if asked.service in QUERY or not environ.get("HTTP_X_AMZ_TARGET"):
        sent = parse_qs(body_of().decode("utf-8", "replace"), keep_blank_values=True)
        return {**query, **{name: values[0] for name, values in sent.items()}}
    return _json(body_of())


def s3(operation: str, path: str, query: Mapping[str, str], environ: Mapping[str, Any], body_of: Callable[[], bytes]) -> Mapping[str, Any]:
    """Bucket, Key, the query's words, `CopySource`, `x-amz-tagging`, and for DeleteObjects `Keys`."""
    bucket, _, key = path.lstrip("/").partition("/")
    found: dict[str, Any] = {**query, "Bucket": bucket, "Key": key}
    found["CopySource"] = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", ""))
    found["x-amz-tagging"] = environ.get("HTTP_X_AMZ_TAGGING", "")
    if operation == "DeleteObjects":
        found["Keys"] = [unescape(one) for one in _KEYS.findall(body_of().decode("utf-8", "replace"))]
    return found


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cbor(body: bytes) -> Mapping[str, Any]:
    from botocore.parsers import RpcV2CBORParser

    found = RpcV2CBORParser().parse_data_item(io.BytesIO(body)) if body else {}
    return found if isinstance(found, dict) else {}
