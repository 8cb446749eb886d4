"""Alarms, evaluated each minute of the embedded AWS's clock (CloudWatch user guide, "Evaluating an alarm"). Used by `timeline`.

One that looks back further than a day is evaluated each hour, as CloudWatch does.
Queue metrics (AWS/SQS) are read from the queues at that moment. A changed state is stored, published to the alarm's SNS topics and
sent to EventBridge as 'CloudWatch Alarm State Change'.
"""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from meshplane_cli.local.metrics import Value, record
from meshplane_cli.local.router import ROUTER

log = logging.getLogger("meshplane.alarms")
EVERY = timedelta(minutes=1)
_DISORDER = timedelta(hours=1)
_DAY = 86_400
_EVALUATED = ("OK", "ALARM")
_BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": lambda values: float(len(values)),
}


class Alarms:
    """A source of the timeline: due at each whole minute."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def next_after(self, moment: datetime) -> datetime | None:
        """The next whole minute, where there is an alarm."""
        return moment.replace(second=0, microsecond=0) + EVERY if any(_all()) else None

    def fire(self, moment: datetime) -> None:
        """Evaluate every alarm as of `moment`."""
        _measure_queues(moment)
        for account, region, backend in _backends():
            for alarm in list(backend.alarms.values()):
                try:
                    _evaluate(account, region, backend, alarm, moment)
                except Exception:
                    log.exception("alarm %s could not be evaluated", alarm.name)


def _backends() -> list[tuple[str, str, Any]]:
    from moto.cloudwatch.models import cloudwatch_backends

    return list(cloudwatch_backends.iter_backends())


def _all() -> list[Any]:
    return [alarm for _, _, backend in _backends() for alarm in backend.alarms.values()]


def _measure_queues(moment: datetime) -> None:
    from moto.sqs.models import sqs_backends

    for account, region, backend in list(sqs_backends.iter_backends()):
        for queue in list(backend.queues.values()):
            visible = float(queue.approximate_number_of_messages)
            name = {"QueueName": queue.name}
            record(account, region, Value("AWS/SQS", "ApproximateNumberOfMessagesVisible", visible, name, "Count", moment))


def _evaluate(account: str, region: str, backend: Any, alarm: Any, moment: datetime) -> None:
    state, reason = _state_of(backend, alarm, moment)
    if state == alarm.state_value:
        return
    previous = alarm.state_value
    backend.set_alarm_state(alarm.name, reason, "{}", state)
    _tell(account, region, alarm, (previous, state, reason), moment)


def _state_of(backend: Any, alarm: Any, moment: datetime) -> tuple[str, str]:
    """The state over the last evaluation periods, and why."""
    period, periods = int(alarm.period), int(alarm.evaluation_periods)
    if alarm.state_value in _EVALUATED and period * periods > _DAY and moment.minute:
        return alarm.state_value, ""
    found: dict[int, list[float]] = {}
    for value, at in _values(backend, alarm, moment - timedelta(seconds=period * periods), moment):
        found.setdefault(int((moment - at).total_seconds()) // period, []).append(value)
    values = [_STATISTICS[alarm.statistic](found[back]) if back in found else None for back in range(periods)]
    missing = {"breaching": True, "notBreaching": False}.get(alarm.treat_missing_data)
    compare, threshold = _BREACHES[alarm.comparison_operator], float(alarm.threshold)
    verdicts = [missing if value is None else compare(value, threshold) for value in values]
    if all(value is None for value in values) and missing is None:
        return ("INSUFFICIENT_DATA", "no data points") if alarm.treat_missing_data != "ignore" else (alarm.state_value, "")
    needed = int(alarm.datapoints_to_alarm or periods)
    breaching = sum(verdict is True for verdict in verdicts)
    shown = ", ".join("none" if value is None else f"{value:g}" for value in values)
    text = f"Threshold {alarm.comparison_operator} {threshold:g}: {breaching} of {periods} datapoints [{shown}] breached"
    return ("ALARM" if breaching >= needed else "OK"), text


def _values(backend: Any, alarm: Any, start: datetime, end: datetime) -> Iterator[tuple[float, datetime]]:
    """Newest first; data arrive nearly in order, so what is an hour older than the window ends the search."""
    wanted = {dimension.name: dimension.value for dimension in alarm.dimensions}
    for datum in reversed(backend.metric_data):
        moment = _aware(datum.timestamp)
        if moment < start - _DISORDER:
            break
        named = datum.name == alarm.metric_name and datum.namespace == alarm.namespace
        if named and start < moment <= end and {dimension.name: dimension.value for dimension in datum.dimensions} == wanted:
            yield float(datum.value), moment


def _aware(moment: Any) -> datetime:
    """moto keeps a datum's time as its protocol brought it."""
    if isinstance(moment, int | float):
        return datetime.fromtimestamp(moment, UTC)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    aware: datetime = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return aware


def _tell(account: str, region: str, alarm: Any, change: tuple[str, str, str], moment: datetime) -> None:
    previous, state, reason = change
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    detail = {
        "alarmName": alarm.name,
        "state": {"value": state, "reason": reason, "timestamp": stamp},
        "previousState": {"value": previous},
    }
    arn = f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm.name}"
    ROUTER.publish(
        account, region, {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "resources": [arn], "detail": detail}
    )
    actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(state, alarm.insufficient_data_actions)
    body = {"AlarmName": alarm.name, "NewStateValue": state, "OldStateValue": previous, "NewStateReason": reason, "StateChangeTime": stamp}
    for action in actions or ():
        if alarm.actions_enabled and ":sns:" in action:
            ROUTER.targets.send({"Arn": action}, json.dumps(body), {})
