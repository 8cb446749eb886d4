"""EventBridge Scheduler refuses an expression that is none (moto takes `banana`), and its dates are those of the advanced clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import moto.scheduler.models as models
from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend

from meshplane_cli.local import schedules
from meshplane_cli.local.clock import CLOCK

_state: dict[str, Any] = {}


def _unix_time(moment: datetime | None = None) -> float:
    """Schedules and groups are dated by the embedded AWS's clock: a rate counts from its schedule's creation."""
    return (moment or CLOCK.now()).timestamp()


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
        models.unix_time = _unix_time
        for name in ("create_schedule", "update_schedule"):
            setattr(EventBridgeSchedulerBackend, name, _checked(getattr(EventBridgeSchedulerBackend, name)))
