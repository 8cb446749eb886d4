"""CloudWatch Logs' key of a standing group: moto has neither AssociateKmsKey nor DisassociateKmsKey.

Called by `repairs.apply` and by the adapters' tests.
"""

from __future__ import annotations

from moto.core.responses import ActionResult, EmptyResult
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse

from meshplane_cli.local.repairs.operations import install


class KeyOperations(LogsResponse):  # type: ignore[misc]
    """Both take effect at once; only a group's own key is known, not a query's."""

    def associate_kms_key(self) -> ActionResult:
        """From now on with this key."""
        self._set_key(self._get_param("kmsKeyId"))
        return EmptyResult()

    def disassociate_kms_key(self) -> ActionResult:
        """From now on with the service's own."""
        self._set_key(None)
        return EmptyResult()

    def _set_key(self, key: str | None) -> None:
        group = self.logs_backend.groups.get(self._get_param("logGroupName"))
        if group is None:
            raise ResourceNotFoundException()
        group.kms_key_id = key


def apply() -> None:
    """Mend moto's Logs in this process; calling again changes nothing."""
    install(LogsResponse, KeyOperations)
