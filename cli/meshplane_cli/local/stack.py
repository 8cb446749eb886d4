"""The embedded AWS as its users hold it: start it, ask it, stop it. Used by `meshplane local …`, the demo and the tests.

Everything but the process itself is done through ordinary AWS clients.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from typing import Any

from botocore.config import Config

from meshplane.model.naming import Naming
from meshplane_cli.local import sessions
from meshplane_cli.local.callers import of_developer
from meshplane_cli.local.place import ENV, PORT, Place, Running

Say = Callable[[str], None]
_START_SECONDS = 60


class LocalAwsError(Exception):
    """The embedded AWS does not do what it is asked; the text says what was found and how to mend it."""


@dataclass(frozen=True, slots=True)
class Stack:
    """An embedded AWS that is up."""

    place: Place
    running: Running

    @property
    def endpoint(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return self.running.endpoint

    @property
    def naming(self) -> Naming:
        """The names of its resources."""
        return self.place.naming()

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client of the developer's; `settings` go to boto3's Config."""
        keys = of_developer()
        return sessions.client(
            service,
            region_name=self.naming.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(**{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **settings}),
        )

    def env(self) -> dict[str, str]:
        """The variables that make any AWS client, and `meshplane` itself, talk to it."""
        naming = self.naming
        buckets = {f"MESHPLANE_{purpose.upper()}_BUCKET": naming.bucket(purpose) for purpose in ("artifacts", "raw", "refined", "curated")}
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": naming.region,
            "AWS_DEFAULT_REGION": naming.region,
            **of_developer(),
            "AWS_EC2_METADATA_DISABLED": "true",
            "MESHPLANE_ENV": ENV,
            **buckets,
            "MESHPLANE_STATE_TABLE": naming.of("state_table"),
        }

    def ask(self, route: str, timeout: float = 300, **body: Any) -> Any:
        """One of the administration's routes (`embedded_aws.EmbeddedAws.administer`)."""
        request = urllib.request.Request(f"{self.endpoint}/meshplane-local/{route}", json.dumps(body).encode(), method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310  # our own endpoint on loopback
                return json.load(answer)
        except urllib.error.HTTPError as fault:
            raise LocalAwsError(f"{route}: {json.load(fault).get('error', fault)}") from None
        except OSError as fault:
            raise LocalAwsError(f"{route}: the embedded AWS on {self.endpoint} does not answer ({fault}); see {self.place.log}") from None

    def advance(self, by: timedelta) -> Mapping[str, Any]:
        """Move its clock on; everything due on the way happens, in order. Returns `moments` and the new `now`."""
        answer: Mapping[str, Any] = self.ask("advance", timeout=3600, seconds=by.total_seconds())
        return answer

    def settle(self) -> None:
        """Wait until events are delivered and functions are done. Job runs go on."""
        self.ask("settle")

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests that it answered after number `since` (`front.Seen`)."""
        answer: list[dict[str, Any]] = self.ask("requests", since=since)
        return answer

    def chaos(self, duplicate: bool = False, reorder: bool = False, seed: int = 0) -> None:
        """Deliver events twice, or out of order, from now on; without arguments as usual again."""
        self.ask("chaos", duplicate=duplicate, reorder=reorder, seed=seed)


def find(root: Path) -> Stack | None:
    """The one that is up for this checkout; None when there is none."""
    place = Place.of(root)
    running = place.running()
    return Stack(place, running) if running is not None and _healthy(running) else None


def up(root: Path, say: Say = lambda _: None, deploy: bool = True) -> Stack:
    """Start it, or find it up; then seed the baseline, publish the platform and deploy the template. Raises LocalAwsError."""
    stack = find(root)
    if stack is not None:
        say(f"the embedded AWS is up on {stack.endpoint}")
    else:
        with ThreadPoolExecutor(1) as meanwhile:
            if deploy:
                meanwhile.submit(_learn)
            stack = _start(Place.of(root), say)
    if deploy:
        from meshplane_cli.local.deploy import deploy_plane

        deploy_plane(stack, say)
    return stack


def down(root: Path, say: Say = lambda _: None) -> bool:
    """Stop it and keep its state; False when it was not up."""
    place = Place.of(root)
    running = place.running()
    if running is None:
        say("the embedded AWS is not up")
        return False
    os.kill(running.pid, signal.SIGTERM)
    until = time.monotonic() + 30
    while place.running() is not None and time.monotonic() < until:
        _reap(running.pid)
        time.sleep(0.05)
    if place.running() is not None:
        os.kill(running.pid, signal.SIGKILL)
        raise LocalAwsError(f"process {running.pid} did not stop within 30 s and was killed: the state is that of when it was last at rest")
    (place.folder / "local.json").unlink(missing_ok=True)
    say(f"stopped; the state is kept in {place.snapshot.relative_to(place.folder.parent)}")
    return True


def reset(root: Path, say: Say = lambda _: None) -> None:
    """Stop it and forget its state and its time."""
    down(root, lambda _: None)
    place = Place.of(root)
    rmtree(place.snapshot.parent, ignore_errors=True)
    place.clock.unlink(missing_ok=True)
    say("state and clock are reset; the next `up` starts anew")


def _learn() -> None:
    """What `deploy_plane` is going to need: its modules, and the models of the services that it calls, while `_start` waits."""
    import_module("meshplane_cli.local.deploy")
    loader = sessions.session()._session.get_component("data_loader")
    for service in ("s3", "iam", "ec2", "lambda", "glue", "stepfunctions", "dynamodb", "events", "sqs", "ssm", "kms", "logs", "cloudwatch"):
        loader.load_service_model(service, "service-2")


def _start(place: Place, say: Say) -> Stack:
    place.log.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    kept = "with the state of last time" if place.snapshot.exists() else "empty"
    say(f"starting the embedded AWS on http://127.0.0.1:{port}, {kept}")
    account = place.domain().accounts[ENV]
    cli = Path(__file__).parents[2]
    paths = [str(cli), str(cli.parent / "functions"), str(cli.parent / "glue_jobs")]
    with (place.log / "server.log").open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "meshplane_cli.local.server", str(place.root), str(place.folder), str(port)],
            env={**_plain_environment(), "MOTO_ACCOUNT_ID": account, "MOTO_PORT": str(port), "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        running = place.running()
        if running is not None and running.pid == process.pid and _healthy(running):
            return Stack(place, running)
        time.sleep(0.05)
    tail = "\n".join((place.log / "server.log").read_text(encoding="utf-8").splitlines()[-15:])
    raise LocalAwsError(f"the embedded AWS did not come up; the end of {place.log / 'server.log'}:\n{tail}")


def _plain_environment() -> dict[str, str]:
    """The caller's environment without what would lead the server's own clients elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}


def _healthy(running: Running) -> bool:
    try:
        with urllib.request.urlopen(f"{running.endpoint}/meshplane-local/health", timeout=5) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    for port in (int(os.environ.get("MESHPLANE_LOCAL_PORT") or PORT), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LocalAwsError("no free port on loopback")


def _reap(pid: int) -> None:
    """A child of this very process stays a zombie until it is waited for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
