"""EventBridge Scheduler refuses an expression that is none; moto takes `banana`."""

from __future__ import annotations

from typing import Any

from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend

from meshplane_cli.local import schedules

_state: dict[str, Any] = {}


def _checked(original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            schedules.check(str(kwargs["schedule_expression"]))
        except (ValueError, KeyError) as fault:
            raise ValidationException(message=f"Invalid Schedule Expression {kwargs.get('schedule_expression')}. {fault}") from None
        return original(self, *args, **kwargs)

    return call


def apply() -> None:
    """Mend moto in this process; a second call changes nothing."""
    if not _state:
        _state["done"] = True
        for name in ("create_schedule", "update_schedule"):
            setattr(EventBridgeSchedulerBackend, name, _checked(getattr(EventBridgeSchedulerBackend, name)))
