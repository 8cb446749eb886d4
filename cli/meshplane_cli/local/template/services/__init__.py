"""One module per service; each names its resource types in `HANDLERS`."""

from __future__ import annotations

from collections.abc import Mapping

from meshplane_cli.local.template.handlers import Handler
from meshplane_cli.local.template.services import alarms, functions, log_groups, machines, queues, roles, rules, tables, topics

HANDLERS: Mapping[str, Handler] = {
    **alarms.HANDLERS,
    **functions.HANDLERS,
    **log_groups.HANDLERS,
    **machines.HANDLERS,
    **queues.HANDLERS,
    **roles.HANDLERS,
    **rules.HANDLERS,
    **tables.HANDLERS,
    **topics.HANDLERS,
}
