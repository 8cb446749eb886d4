"""Answers that refuse a request, in the error shape of its own protocol, so that every SDK reads code and message. Called by `front`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from meshplane_cli.local.wire import QUERY, Asked

_DENIED = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError"}  # other XML services, and SQS, say AccessDenied
_FORBIDDEN = QUERY | {"s3", "lambda", "scheduler", "sqs", "monitoring"}  # 403; JSON services answer 400


def denial(service: str) -> tuple[str, str]:
    """(HTTP status line, error code) by which a service says that the caller may not."""
    status = "403 Forbidden" if service in _FORBIDDEN else "400 Bad Request"
    if service in _DENIED:
        return status, _DENIED[service]
    return status, "AccessDenied" if service in QUERY | {"s3", "sqs", "monitoring"} else "AccessDeniedException"


def unknown_key(service: str) -> tuple[str, str]:
    """The same for an access key that nobody has."""
    if service == "s3":
        return "403 Forbidden", "InvalidAccessKeyId"
    return ("403 Forbidden", "InvalidClientTokenId") if service in QUERY else ("400 Bad Request", "UnrecognizedClientException")


def body(asked: Asked, environ: Mapping[str, Any], code: str, text: str) -> tuple[bytes, list[tuple[str, str]]]:
    """The error's body and headers."""
    content, kind = _content(asked, environ, code, text)
    if environ["REQUEST_METHOD"] == "HEAD":
        content = b""
    headers = [("Content-Type", kind), ("Content-Length", str(len(content))), ("x-amzn-errortype", code)]
    if kind == "application/cbor":
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
    if asked.service in ("sqs", "monitoring"):
        headers.append(("x-amzn-query-error", f"{code};Sender"))
    return content, headers


def _content(asked: Asked, environ: Mapping[str, Any], code: str, text: str) -> tuple[bytes, str]:
    plain = f"<Code>{escape(code)}</Code><Message>{escape(text)}</Message>"
    if asked.service == "s3":
        return f'<?xml version="1.0"?><Error>{plain}</Error>'.encode(), "application/xml"
    if asked.service == "ec2":
        return f"<Response><Errors><Error>{plain}</Error></Errors></Response>".encode(), "text/xml"
    if asked.service in QUERY:
        return f"<ErrorResponse><Error><Type>Sender</Type>{plain}</Error><RequestId>0</RequestId></ErrorResponse>".encode(), "text/xml"
    fields = {"__type": code, "message": text}
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return _cbor(fields), "application/cbor"
    return json.dumps(fields).encode(), "application/x-amz-json-1.1"


def _cbor(fields: Mapping[str, str]) -> bytes:
    """A map of short texts (RFC 8949: major type 5 of major type 3)."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return (bytes([0x60 | len(raw)]) if len(raw) < 24 else b"\x79" + len(raw).to_bytes(2, "big")) + raw

    return bytes([0xA0 | len(fields)]) + b"".join(text(key) + text(value) for key, value in fields.items())
