"""Every AWS client of a process, from one boto3 session: called by `wiring` and by the tests, used by all of `meshplane.aws`.

One session means one place to hook: `session.events.register("before-call.*.*", …)` and `after-call` see every request of every
client made from it afterwards, pyiceberg's included. The crash tests live on that.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

# Five attempts with jitter stay well inside a reconcile's time; what is still throttled after them becomes `Throttled`.
_BASE = Config(
    user_agent_extra="meshplane",
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=16,
)
# A call that AWS may have carried out although the connection dropped (table optimizers take minutes) must not be sent twice unseen.
_ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=60)


class Clients:
    """`clients("glue")` gives that service's client, made once. `config` is merged over the defaults (endpoints, time-outs)."""

    def __init__(self, session: boto3.Session, config: Config | None = None) -> None:
        self.session = session
        self._config = _BASE.merge(config) if config else _BASE
        self._made: dict[tuple[str, bool], Any] = {}
        self._lock = Lock()  # boto3 may not make clients from two threads at once
        self._sent, self._count = 0, Lock()
        session.events.register("before-send", self._note)

    def _note(self, **_: Any) -> None:
        with self._count:
            self._sent += 1

    def take_sent(self) -> int:
        """How many requests were sent since the last call of this, retries included, by whatever client of the session."""
        with self._count:
            sent, self._sent = self._sent, 0
        return sent

    def __call__(self, service: str, retries: bool = True) -> Any:
        """The cached client. `retries=False` sends each request exactly once: the caller treats a time-out as unknown and looks again."""
        with self._lock:
            if (service, retries) not in self._made:
                config = self._config if retries else self._config.merge(_ONCE)
                make: Any = self.session.client  # the stubs' overloads know service names as literals only
                self._made[service, retries] = make(service, config=config)
            return self._made[service, retries]
