"""AWS::Lambda::*. A function's code is the folder of the checkout that the template names, or the package that was uploaded; its layer
is the virtual environment either way: the real one is built for another processor."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from meshplane_cli.local.lambdas.pool import CODE_TAG
from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, nothing, only, tags

CHECKOUT = "checkout"  # the bucket of no AWS, by which `deployment` means the checkout
_CONFIGURATION = (
    "Runtime",
    "Role",
    "Handler",
    "Description",
    "Environment",
    "TracingConfig",
    "DeadLetterConfig",
    "EphemeralStorage",
    "LoggingConfig",
)


def _placeholder() -> bytes:
    """Lambda wants a package; what runs is the folder that the tag names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr(zipfile.ZipInfo("README"), "The embedded AWS runs the checkout's own folder.\n")
    return packed.getvalue()


def _function(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    client = target.client("lambda")
    name = properties.get("FunctionName") or target.name(logical)
    shape: dict[str, Any] = only(properties, _CONFIGURATION)
    if "Environment" in shape:
        shape["Environment"] = {"Variables": {key: str(value) for key, value in shape["Environment"]["Variables"].items()}}
    shape |= {"Timeout": int(properties.get("Timeout", 3)), "MemorySize": int(properties.get("MemorySize", 128))}
    marks, code = _code(properties["Code"])
    marks = {**tags(properties), **marks}
    arn = target.arn("lambda", f"function:{name}")
    if earlier == name:
        client.update_function_configuration(FunctionName=name, **shape)
        client.update_function_code(FunctionName=name, **code)
        client.untag_resource(Resource=arn, TagKeys=[CODE_TAG])
        client.tag_resource(Resource=arn, Tags=marks)
    else:
        client.create_function(FunctionName=name, Code=code, Tags=marks, **shape)
    return Made(name, {"Arn": arn})


def _code(code: Properties) -> tuple[dict[str, str], dict[str, Any]]:
    """The tag that names a folder of the checkout and a placeholder for it, or no tag and the package."""
    if code["S3Bucket"] == CHECKOUT:
        return {CODE_TAG: str(code["S3Key"])}, {"ZipFile": _placeholder()}
    return {}, only(code, ("S3Bucket", "S3Key", "S3ObjectVersion"))


def _remove_function(target: Target, ref: str) -> None:
    target.client("lambda").delete_function(FunctionName=ref)


def _mapping(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    client = target.client("lambda")
    names = (
        "FunctionName",
        "EventSourceArn",
        "BatchSize",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "Enabled",
        "ScalingConfig",
    )
    if earlier:  # the source cannot change in place; a new mapping is cheap here
        client.delete_event_source_mapping(UUID=earlier)
    made = client.create_event_source_mapping(**only(properties, names))
    return Made(made["UUID"], {"Id": made["UUID"]})


def _remove_mapping(target: Target, ref: str) -> None:
    client = target.client("lambda")
    try:
        client.delete_event_source_mapping(UUID=ref)
    except client.exceptions.ResourceNotFoundException:
        return  # replaced in place: gone already


def _layer(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    return Made(target.arn("lambda", f"layer:{properties.get('LayerName', logical)}:1"))


def _permission(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    """Who may invoke is judged in a later issue; the statement itself is not kept."""
    return Made(target.name(logical))


HANDLERS = {
    "AWS::Lambda::Function": Handler(_function, _remove_function),
    "AWS::Lambda::EventSourceMapping": Handler(_mapping, _remove_mapping),
    "AWS::Lambda::LayerVersion": Handler(_layer, nothing),
    "AWS::Lambda::Permission": Handler(_permission, nothing),
}
