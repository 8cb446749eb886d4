"""What the probes share: asking questions whose answer may be an error, and printing the answers. Runs in the probe's own process."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

REGION, ACCOUNT = "eu-central-1", "123456789012"
REPAIRED = sys.argv[1] == "repaired"
answers: dict[str, Any] = {}


def ask(name: str, question: Callable[[], Any]) -> Any:
    """Note the answer: a value, the code of an error, or that moto has no such operation."""
    try:
        answers[name] = question()
    except ClientError as error:
        answers[name] = {"error": error.response["Error"]["Code"]}
    except NotImplementedError:
        answers[name] = {"missing": True}
    except Exception as error:  # noqa: BLE001  # what moto itself stumbles over is an answer too
        answers[name] = {"raised": type(error).__name__}
    return answers[name]


def client(service: str) -> Any:
    session: Any = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name=REGION)
    return session.client(service, config=Config(retries={"total_max_attempts": 1}))


def side_by_side(work: Callable[[int], None], times: Iterable[int]) -> None:
    """Run `work` on as many threads as there are `times`, and wait."""
    threads = [threading.Thread(target=work, args=(number,)) for number in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(probe: Callable[[], None], routed: bool = False) -> None:
    """Ask within moto, repaired or not; `routed`: with the router delivering."""
    os.environ.pop("AWS_ENDPOINT_URL", None)
    if REPAIRED:
        from meshplane_cli.local import repairs
        from meshplane_cli.local.router import ROUTER

        repairs.apply(*((ROUTER.publish, ROUTER.to_targets) if routed else ()))
        ROUTER.start()
    with mock_aws():
        probe()
    print("ANSWERS" + json.dumps(answers, default=str))
