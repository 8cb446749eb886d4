"""The authoring models of `pipelines:`. Read by `document`; made plain by `normalise`, judged by `check_pipelines`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Strict

from meshplane.model.manifest.parts import (
    Description,
    Flag,
    JsonSchema,
    Names,
    Part,
    Setting,
    Text,
    Whole,
    duration,
    field,
    named,
    relative,
)
from meshplane.model.manifest.schedules import check_expression, check_timezone

PipelineName = Annotated[str, named("pipeline", "[a-z][a-z0-9_-]*", "lower-case letters, digits, _ and -, beginning with a letter")]
TriggerName = Annotated[str, named("trigger", "[a-z][a-z0-9_]*", "lower-case letters, digits and _, beginning with a letter")]
Settle = Annotated[timedelta, duration("0s", "15m")]
RetryAfter = Annotated[timedelta, duration("1s", "1h")]
AslPath = Annotated[str, relative("state machine", ".json")]
Expression = Annotated[str, Strict(), AfterValidator(check_expression)]
Timezone = Annotated[str, Strict(), AfterValidator(check_timezone)]


class TriggerPart(Part):
    """What starts a pipeline: exactly one of schedule, files, pipeline, table."""

    later: ClassVar[Mapping[str, str]] = {"all": "operate", "any": "operate"}

    schedule: Expression | None = field("cron(0 6 * * ? *), rate(1 hour) or at(2027-01-31T06:00:00).", overlay=True, default=None)
    timezone: Timezone = field("Time zone of the schedule, an IANA name. Default UTC.", overlay=True, default="UTC")
    files: Text | None = field("An own raw table: files arrived under it.", default=None)
    settle: Settle = field("A run starts when nothing has arrived for so long. Default 10s.", overlay=True, default="10s")
    pipeline: Text | None = field("`daily`, or `customers.daily` of another project: it succeeded.", default=None)
    table: Text | None = field("`orders`, or `customers.contacts` of another project: judged data of it was published.", default=None)
    enabled: Flag = field("Does it start runs? Default true.", overlay=True, default=True)


STEP_SCHEMA: JsonSchema = {
    "type": "array",
    "items": {"x-ref": "StepPart"},
    "minItems": 1,
    "description": "Steps one after the other.",
}


class StepPart(Part):
    """A step: a job's name, a job or source with its retry, steps side by side, or a sequence inside those."""

    later: ClassVar[Mapping[str, str]] = {"map": "operate", "when": "operate", "approve": "operate", "gate": "data"}
    short = ({"type": "string", "description": "A job of this project."}, STEP_SCHEMA)

    job: Text | None = field("A job of this project.", default=None)
    ingest: Text | None = field("A source of this project: it is fetched.", default=None)
    retry: Whole = field("How often again after a failure: the only retry there is. Default 0.", default=0, ge=0, le=10)
    retry_after: RetryAfter = field("Wait before the first retry; it doubles. Default 30s.", default="30s")
    arguments: dict[str, Setting] = field("Further Glue arguments of this step, `--name: value`.", default_factory=dict)
    parallel: tuple[StepPart, ...] | None = field(
        "Steps side by side; an item may be a list, which is a sequence.", default=None, min_length=2
    )
    sequence: tuple[StepPart, ...] | None = field("Steps one after the other.", default=None, min_length=1)

    @classmethod
    def expand(cls, value: object) -> object:
        """`load_orders`; a list is a sequence."""
        return {"job": value} if isinstance(value, str) else {"sequence": value} if isinstance(value, list) else value


class AslPart(Part):
    """The project's own state machine."""

    short = ({"type": "string"},)

    file: AslPath = field("ASL file in the project's folder; it may name ${job.load_orders}.")
    targets: Names = field("ARNs that it may call beside its own jobs.", default=())

    @classmethod
    def expand(cls, value: object) -> object:
        """`pipelines/daily.asl.json`."""
        return {"file": value} if isinstance(value, str) else value


class ParamPart(Part):
    """A parameter of a pipeline's runs."""

    short = ({"enum": ["string", "int", "date", "boolean"]},)

    type: Literal["string", "int", "date", "boolean"] = field("What it is.")
    default: Setting | None = field("Its value when none is given. Default: it must be given.", default=None)

    @classmethod
    def expand(cls, value: object) -> object:
        """`country: string` must be given."""
        return {"type": value} if isinstance(value, str) else value


class FailurePart(Part):
    """What happens when a run fails."""

    notify: Text = field("`domain` (the domain's alert topic), or an SNS topic's ARN.", overlay=True)


class PipelinePart(Part):
    """Steps (or an own ASL file) with what starts them and how runs live beside each other."""

    description: Description = field("What it does, for people.", default="")
    window: Literal["hour", "day", "month"] | None = field("Runs cover a window; jobs get its start and end.", default=None)
    params: dict[str, ParamPart] = field("Parameters of a run.", default_factory=dict)
    concurrency: Whole = field("Runs at once. Default 1.", overlay=True, default=1, ge=1, le=100)
    when_busy: Literal["queueOne", "queue", "skip"] = field(
        "What an arriving run does while all slots are taken. Default queueOne: one waits, further ones join it.",
        overlay=True,
        default="queueOne",
    )
    triggers: dict[TriggerName, TriggerPart] = field("What starts it, by name.", default_factory=dict)
    steps: tuple[StepPart, ...] | None = field("Steps one after the other.", default=None, min_length=1)
    asl: AslPart | None = field("Instead of steps: an own state machine.", default=None)
    on_failure: FailurePart | None = field("Who is told when a run fails. Default: nobody.", overlay=True, default=None)


def sources_of(steps: tuple[StepPart, ...]) -> Iterator[str]:
    """Every source that these steps fetch, nested ones included."""
    for step in steps:
        if step.ingest is not None:
            yield step.ingest
        yield from sources_of(step.parallel or ())
        yield from sources_of(step.sequence or ())
