"""A Kafka topic as a stream of Spark: where it is, how it is asked, and what a raw table keeps of a record. For the built-in `kafka`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dp_foundation.config.arguments import Column, Connection
from dp_foundation.errors import ConfigError

# Column of the raw table → what it is made of. A cast to text keeps the bytes as they are, also those that are no UTF-8.
RECORD = {
    "key": "key",
    "payload": "value",
    "offset": "offset",
    "partition_id": "partition",
    "topic": "topic",
    "published_at": "timestamp",
}
FAULT = "CASE WHEN value IS NOT NULL AND json_object_keys(CAST(value AS string)) IS NULL THEN 'no JSON object' END"


def options(place: Connection, topic: str, batch: int, secret: str) -> Mapping[str, str]:
    """From the first record that is kept, and never past a gap in silence: records that expired before they were read fail the run. What
    no transaction has committed is no record yet: the consumer's own default would bring those of aborted ones too."""
    told = {
        "kafka.bootstrap.servers": f"{place.host}:{place.port}",
        "subscribe": topic,
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "kafka.isolation.level": "read_committed",
        "maxOffsetsPerTrigger": str(batch),
    }
    if place.is_loopback and not secret:
        return {**told, "kafka.security.protocol": "PLAINTEXT"}
    if not secret:
        return {**told, "kafka.security.protocol": "SSL"}
    user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in _credentials(secret))
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="{user}" password="{password}";'
    scram = {"kafka.security.protocol": "SASL_SSL", "kafka.sasl.mechanism": "SCRAM-SHA-512", "kafka.sasl.jaas.config": login}
    return {**told, **scram}


def record(columns: Sequence[Column], form: str) -> list[str]:
    """The expressions of a raw table's columns. Raises ConfigError for one that no record has."""
    made = []
    for column in columns:
        name = column.name.lower()
        if name == "fault":
            made.append(f"{FAULT if form == 'json' else 'CAST(NULL AS string)'} AS `{column.name}`")
        elif name in RECORD:
            made.append(f"CAST({RECORD[name]} AS {column.type}) AS `{column.name}`")
        else:
            raise ConfigError(f"column {column.name}: a record has {', '.join(RECORD)}, and fault says whether it is what it should be")
    return made


def _credentials(secret: str) -> tuple[str, str]:
    try:
        told = dict(json.loads(secret))
        return str(told["username"]), str(told["password"])
    except (ValueError, TypeError, KeyError):
        raise ConfigError("the source's secret is no JSON object with username and password") from None
