"""What the platform publishes in SSM, in one call per process: the adapter behind `ports.Releases`."""

from __future__ import annotations

import json
from threading import Lock

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.errors import NotReady
from meshplane.model.baseline import Baseline
from meshplane.model.naming import Naming
from meshplane.model.release import PlatformRelease


class SsmReleases:
    """Read once and kept for the life of the process: what it reads changes with a deployment, which starts new processes."""

    def __init__(self, clients: Clients, naming: Naming) -> None:
        self._clients, self._naming = clients, naming
        self._lock = Lock()
        self._kept: tuple[Baseline, PlatformRelease] | None = None

    def read(self) -> tuple[Baseline, PlatformRelease]:
        """One GetParameters, then from memory."""
        with self._lock:
            self._kept = self._kept or self._read()
            return self._kept

    def _read(self) -> tuple[Baseline, PlatformRelease]:
        names = dict(Baseline.parameters(self._naming))
        platform = self._naming.of("platform_parameter", name="release")
        with translated("ssm:GetParameters", platform):
            answer = self._clients("ssm").get_parameters(Names=[*names.values(), platform])
        found = {item["Name"]: item["Value"] for item in answer["Parameters"]}
        baseline = Baseline.read({field: found[name] for field, name in names.items() if name in found})
        if platform not in found:
            raise NotReady("the platform's own release is not published yet: deploy the control plane's job library first")
        told = json.loads(found[platform])
        return baseline, PlatformRelease(told["library"], dict(told.get("jobs", {})))
