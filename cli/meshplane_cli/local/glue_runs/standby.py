"""What waits for the next run: JVMs, warmed up, and a Python process. It needs nothing of moto, so that a JVM warms up while moto loads."""

from __future__ import annotations

import threading

from meshplane_cli.local.glue_runs import process, warm_up
from meshplane_cli.local.glue_runs.interpreters import Interpreters
from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.jvm import JvmPool
from meshplane_cli.local.role_credentials import RoleKey


class Standby:
    """Of one embedded AWS. `closing`: nothing new is begun."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.closing = threading.Event()
        self.jvms = JvmPool(settings.jars, settings.region, settings.scratch / "jvms")
        self.interpreters = Interpreters(process.environment(settings.endpoint, settings.region, RoleKey("", ""), (), {}))

    def begin(self) -> None:
        """Ready as much as the settings say, in the background, and again what is lost."""
        if self.settings.warm:
            self.jvms.on_loss = self.warm
            self.warm(self.settings.warm)

    def warm(self, count: int = 1) -> None:
        """Ready a Python process and JVMs in the background, one after the other."""

        def work() -> None:
            self.interpreters.prepare()
            for _ in range(count):
                warm_up.warm(self.jvms, self.settings, self.closing.is_set)

        threading.Thread(target=work, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """End all of it; runs on these JVMs fail."""
        self.closing.set()
        self.interpreters.close()
        self.jvms.close()
