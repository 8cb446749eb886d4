"""CloudWatch's alarms and dashboards as the service keeps them: moto knows no tags of dashboards, tells tags of what is not there,
and lets an updated alarm forget its state.

Called by `repairs.apply` and by the adapters' tests. Repairs are made once per process.
"""

from __future__ import annotations

import json
from typing import Any

from moto.cloudwatch.exceptions import DashboardInvalidInputError, ResourceNotFoundException
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from meshplane_cli.local.repairs.operations import install

_original_put = CloudWatchBackend.put_metric_alarm
_original_delete = CloudWatchBackend.delete_alarms
_original_delete_dashboards = CloudWatchBackend.delete_dashboards
_original_tags = CloudWatchBackend.list_tags_for_resource
_original_tag = CloudWatchBackend.tag_resource
_STATE = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history")


class DashboardOperations(CloudWatchResponse):  # type: ignore[misc]
    """Tags are taken when a dashboard is made, and ignored when it is replaced (PutDashboard, `Tags`)."""

    def put_dashboard(self) -> ActionResult:
        """The whole body."""
        name, body, backend = self._get_param("DashboardName"), self._get_param("DashboardBody"), self.cloudwatch_backend
        try:
            json.loads(body)
        except ValueError:
            raise DashboardInvalidInputError("Body is invalid JSON") from None
        new = name not in backend.dashboards
        dashboard = backend.put_dashboard(name, body)
        if new:
            backend.tagger.tag_resource(dashboard.arn, self._get_param("Tags", []))
        return ActionResult({"DashboardValidationMessages": []})


def _put(self: Any, name: str, *args: Any, **asked: Any) -> Any:
    """An alarm that stands keeps its state ("its state is left unchanged", PutMetricAlarm) and its tags."""
    earlier = self.alarms.get(name)
    if earlier is not None:
        asked["tags"] = []
    alarm = _original_put(self, name, *args, **asked)
    if earlier is not None:
        for field in _STATE:
            setattr(alarm, field, getattr(earlier, field))
    return alarm


def _delete(self: Any, alarm_names: list[str]) -> None:
    for name in alarm_names:
        if name in self.alarms:
            self.tagger.delete_all_tags_for_resource(self.alarms[name].alarm_arn)
    _original_delete(self, alarm_names)


def _delete_dashboards(self: Any, dashboards: list[str]) -> Any:
    standing = [self.dashboards[name].arn for name in dashboards if name in self.dashboards]
    error = _original_delete_dashboards(self, dashboards)
    if error is None:
        for arn in standing:
            self.tagger.delete_all_tags_for_resource(arn)
    return error


def _is_dashboard(self: Any, arn: str) -> bool:
    return any(dashboard.arn == arn for dashboard in self.dashboards.values())


def _tags(self: Any, arn: str) -> Any:
    kept = any(alarm.alarm_arn == arn for alarm in self.alarms.values()) or ":insight-rule/" in arn or _is_dashboard(self, arn)
    if not kept:
        raise ResourceNotFoundException
    return _original_tags(self, arn)


def _tag(self: Any, arn: str, tags: dict[str, str]) -> None:
    if _is_dashboard(self, arn):
        self.tagger.tag_resource(arn, self.tagger.convert_dict_to_tags_input(tags))
    else:
        _original_tag(self, arn, tags)


def apply() -> None:
    """Mend moto's CloudWatch in this process; calling again changes nothing."""
    install(CloudWatchResponse, DashboardOperations)
    CloudWatchBackend.put_metric_alarm = _put
    CloudWatchBackend.delete_alarms = _delete
    CloudWatchBackend.delete_dashboards = _delete_dashboards
    CloudWatchBackend.list_tags_for_resource = _tags
    CloudWatchBackend.tag_resource = _tag
