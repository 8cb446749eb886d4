"""Everything that the embedded AWS is, in one process (`server`).

Order of the start: repairs, the state of last time, the HTTP server (loopback only), workers and pollers, job runs, the clock. SIGTERM
stops it in the reverse order and keeps the state.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from meshplane_cli.local import repairs, sessions, snapshot
from meshplane_cli.local.access import Judge, World
from meshplane_cli.local.alarms import Alarms
from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.cloudformation import Engine
from meshplane_cli.local.front import Front
from meshplane_cli.local.glue_runs.standby import Standby
from meshplane_cli.local.glue_runs.worker import Worker
from meshplane_cli.local.glue_runs.worker import start as start_runs
from meshplane_cli.local.keeping import Keeper
from meshplane_cli.local.lambdas import Pool, Settings
from meshplane_cli.local.lambdas.pollers import Pollers
from meshplane_cli.local.log_lines import LogLines
from meshplane_cli.local.place import ENV, Place, Running
from meshplane_cli.local.router import ROUTER, Chaos
from meshplane_cli.local.timeline import DelayedMessages, RuleSchedules, Schedules, Timeline

log = logging.getLogger("meshplane.local")
_SETTLE_SECONDS = 120  # how long `advance` waits for what it fired


class EmbeddedAws:
    """Functions, job runs, events and requests. `standby`: what waits for job runs; it may have begun."""

    def __init__(self, place: Place, port: int, standby: Standby) -> None:
        domain = place.domain()
        self.place, self.account, self.region = place, domain.accounts[ENV], domain.aws_region
        self.endpoint = f"http://127.0.0.1:{port}"
        self._port = port
        settings = Settings(place.root, self.endpoint, self.region, place.clock)
        self.pool = Pool(settings, LogLines(self.account, self.region, place.log / "functions"), self._dead_letter)
        self.pollers = Pollers(self.pool)
        self.timeline = Timeline([RuleSchedules(), Schedules(), Alarms(), DelayedMessages(self.pollers.queues)], self.settle)
        self.judge = Judge(World(self.account, self.region), enforces=os.environ.get("MESHPLANE_LOCAL_ACCESS") != "log")
        self._stopping = threading.Event()
        self._worker = Worker(standby)
        self._keeper: Keeper | None = None
        self._http: Any = None
        self.front: Front | None = None

    def start(self) -> None:
        """Come up; returns when requests are answered."""
        sessions.share_regions()
        from meshplane_cli.local.repairs import cloudformation, functions

        CLOCK.keep_in(self.place.clock)
        repairs.apply(ROUTER.publish, ROUTER.to_targets)
        functions.apply(self.pool.invoke, self.pool.invoke_later, self.pollers.refresh)
        bucket = self.place.naming().bucket("artifacts")
        cloudformation.apply(Engine(self.endpoint, self.region, self.account, bucket))
        ROUTER.targets.invoke = self.pool.invoke_later
        if self.place.snapshot.exists():
            log.info("restored %d backends", snapshot.load(self.place.snapshot))
        self._serve()
        ROUTER.start()
        self.pollers.refresh()
        start_runs(self._worker)
        if self._worker.optimizers is not None:
            self.timeline.sources.append(self._worker.optimizers)
        self.timeline.start()
        self._keeper = Keeper(self.place.snapshot, lambda: self._front.changes, self._at_rest)
        self._keeper.start()
        self.place.announce(Running(os.getpid(), self._port, ENV))

    def _serve(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):  # type: ignore[misc]
            # Head and body in one segment; `front` says how long a body is, so nothing follows it. AWS's SDK for Go closes a request's body
            # as soon as the answer's head is there; where its own writer has not come back by then (an answer within a millisecond, a
            # busy machine), the connection ends before the rest is read, and the SDK asks again: Terraform meets what it has just made.
            wbufsize = 1 << 16

            def handle_expect_100(self) -> bool:
                """Tell a client that waits with its body to go on, at once and once."""
                goes_on = bool(super().handle_expect_100())
                self.wfile.flush()
                del self.headers["Expect"]  # werkzeug would say it too
                return goes_on

            def log(self, *_: Any) -> None:
                """The front keeps the log of requests."""

        inner = DomainDispatcherApplication(create_backend_app)
        self.front = Front(inner, self.administer, self.account, self.place.log / "requests.jsonl", self.judge)
        self._http = make_server("127.0.0.1", self._port, self.front, threaded=True, request_handler=Quiet)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True).start()

    def settle(self) -> None:
        """Wait until events are delivered, functions are done and no polled message is left, or some time has passed."""
        until, quiet = time.monotonic() + _SETTLE_SECONDS, 0
        while quiet < 3 and time.monotonic() < until:
            idle = self._idle()
            quiet = quiet + 1 if idle else 0
            time.sleep(0.001 if idle else 0.01)  # three looks: between receiving a message and being busy is a moment

    def _idle(self) -> bool:
        optimizers = self._worker.optimizers
        return ROUTER.idle and self.pool.idle and self.pollers.idle and (optimizers is None or optimizers.idle)

    def _at_rest(self) -> bool:
        """Idle, and no job under way: its run would be told as stopped by whoever starts from that state, and saving takes its time."""
        return self._idle() and self._worker.quiet

    def administer(self, route: str, body: Mapping[str, Any]) -> Any:
        """The administration's routes; raises KeyError for an unknown one, ValueError for a wrong value."""
        if route == "requests":
            return self._front.requests(int(body.get("since", 0)))
        if route == "access":
            return self.judge.report()
        if route == "events":
            return self.pool.delivered()
        answer: dict[str, Any] = {"account": self.account, "region": self.region, "requests": self._front.count}
        if route == "advance":
            answer["moments"] = self.timeline.advance(timedelta(seconds=float(body["seconds"])))
        elif route == "settle":
            self.settle()
        elif route == "chaos":
            ROUTER.chaos = Chaos(bool(body.get("duplicate")), bool(body.get("reorder")), int(body.get("seed", 0)))
        elif route == "kill":
            self.pool.kill(str(body["function"]))
        elif route == "publish":
            ROUTER.publish(self.account, self.region, body["event"])
        elif route != "health":
            raise KeyError(f"{route} is none of the embedded AWS's own routes")
        return {**answer, "now": CLOCK.now().isoformat()}

    @property
    def _front(self) -> Front:
        if self.front is None:
            raise ValueError("not up yet")
        return self.front

    def _dead_letter(self, queue_arn: str, body: str) -> None:
        ROUTER.targets.send({"Arn": queue_arn}, body, {})

    def run_until_stopped(self) -> None:
        """Wait for SIGTERM or SIGINT; then keep the state."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        self._stopping.wait()
        if self._keeper is not None:
            self._keeper.stop()
        self._http.shutdown()
        self.pollers.close()
        until = time.monotonic() + 5
        while not (ROUTER.idle and self.pool.idle) and time.monotonic() < until:
            time.sleep(0.05)
        self._worker.stop()
        lost = snapshot.save(self.place.snapshot)
        for name in lost:
            log.error("not kept: %s", name)
        self.pool.close()
