"""`get_config`: one mapping of all that a job may want to know about where it runs (REQUIREMENTS J1, J2).

Highest first: explicit overrides; `{ABBR}_<KEY>` in the environment, or `CUSTOMER_{ABBR}_<KEY>`, the only form Glue passes on; the JSON
(or YAML, where PyYAML can be imported) file at `CONFIG_PATH`; job arguments; defaults from the packaged `domain.json` and the account id.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dp_foundation.config.arguments import Invocation, invocation
from dp_foundation.config.names import LAYERS, PURPOSES, Names
from dp_foundation.config.packaged import packaged
from dp_foundation.errors import ConfigError

BASE_KEYS = ("env", "aws_region", "account_id", "domain_name", "domain_abbr", "country_code", "project")
# Both generations' spellings of one value: whoever sets one has set the other, unless that is set at least as high.
_SPELLINGS = {f"iceberg_database_{layer}": f"{layer}_db" for layer in LAYERS}
_OTHER = {**_SPELLINGS, **{b: a for a, b in _SPELLINGS.items()}}
KEYS = (
    *BASE_KEYS,
    *(f"s3_{purpose}_bucket" for purpose in PURPOSES),
    *_SPELLINGS,
    *_SPELLINGS.values(),
    "iceberg_warehouse_refined",
    "iceberg_warehouse_curated",
    "log_level",
    "log_format",
)
_DOMAIN_KEYS = {
    "domain_name": "name",
    "domain_abbr": "abbr",
    "aws_region": "region",
    "country_code": "country_code",
    "account_id": "account_id",
}
Level = Callable[[str], Any]


class Config(Mapping[str, Any]):
    """The resolved settings. Values are found when asked for, so that the account id costs a call to STS only where nothing names it."""

    def __init__(self, overrides: Mapping[str, Any], environ: Mapping[str, str], call: Invocation) -> None:
        self._overrides = {key.lower(): value for key, value in overrides.items()}
        self._environ = environ
        self._call = call
        self._file = _config_file(environ)
        self._found: dict[str, tuple[Any, str]] = {}
        self._levels: tuple[tuple[str, Level], ...] = (
            ("overrides", self._overrides.get),
            ("environment", self._from_environment),
            ("config file", self._file.get),
            ("job arguments", self._from_arguments),
        )

    def __getitem__(self, key: str) -> Any:
        return self._resolve(key.lower())[0]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*KEYS, *self._overrides, *self._file)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"Config({dict(self)!r})"

    def source(self, key: str) -> str:
        """Where a value comes from: `overrides`, `environment`, `config file`, `job arguments` or `defaults`."""
        return self._resolve(key.lower())[1]

    @property
    def names(self) -> Names:
        """The naming rule of this domain. On a laptop (`env` is `local`) the names are those of the environment it stands in for: dev."""
        env = str(self["env"])
        if env == "local":
            env = self._call.job.env if self._call.job and self._call.job.env != "local" else "dev"
        return Names(str(self["domain_abbr"]), str(self["country_code"]), str(self["account_id"]), env)

    def _resolve(self, key: str) -> tuple[Any, str]:
        if key not in self._found:
            self._found[key] = self._search(key)
        return self._found[key]

    def _search(self, key: str) -> tuple[Any, str]:
        for name, level in self._levels:
            for spelling in (key, _OTHER.get(key)):
                if spelling is not None and (value := level(spelling)) not in (None, ""):
                    return value, name
        return self._default(key), "defaults"

    def _from_environment(self, key: str) -> str | None:
        domain = self._call.job.domain["abbr"] if self._call.job else packaged("domain.json")["domain_abbr"]
        abbr = str(self._overrides.get("domain_abbr") or domain)
        variable = f"{abbr}_{key}".upper()
        found = self._environ.get(variable) or self._environ.get(f"CUSTOMER_{variable}")
        return found or (self._environ.get("ENV") if key == "env" else None)

    def _from_arguments(self, key: str) -> str | None:
        job = self._call.job
        if job is not None and key in _DOMAIN_KEYS:
            return job.domain.get(_DOMAIN_KEYS[key])
        if job is not None and key in ("env", "project"):
            return job.env if key == "env" else job.project
        return self._call.plain.get(key)

    def _default(self, key: str) -> Any:
        domain = packaged("domain.json")
        if key in ("domain_name", "domain_abbr", "aws_region", "country_code"):
            return domain[key]
        if key == "account_id":
            env = "dev" if self["env"] == "local" else str(self["env"])
            return domain.get("accounts", {}).get(env) or _account_id(str(self["aws_region"]))
        plain = {"env": "local", "project": "", "log_level": "DEBUG", "log_format": "text"}
        if key in ("log_level", "log_format") and self["env"] != "local":
            return {"log_level": "INFO", "log_format": "json"}[key]
        return plain[key] if key in plain else self._derived(key)

    def _derived(self, key: str) -> str:
        if key.startswith("s3_") and key in KEYS:
            return self.names.bucket(key[len("s3_") : -len("_bucket")])
        if key in _OTHER:
            return self.names.database((_OTHER[key] if key.startswith("iceberg_") else key)[: -len("_db")])
        if key.startswith("iceberg_warehouse_") and key in KEYS:
            layer = key[len("iceberg_warehouse_") :]
            project = str(self["project"])
            bucket = str(self[f"s3_{layer}_bucket"])
            return f"s3://{bucket}/" + (self.names.of("warehouse_prefix", project=project) if project else "iceberg/")
        raise KeyError(f"{key} is not a setting; the settings are {', '.join(KEYS)}, and what overrides or the config file add")


def get_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """The settings of this process; `overrides` win over everything. Raises ConfigError when the file at CONFIG_PATH cannot be read."""
    return Config(overrides or {}, os.environ, invocation())


def _config_file(environ: Mapping[str, str]) -> dict[str, Any]:
    path = environ.get("CONFIG_PATH") or environ.get("CUSTOMER_CONFIG_PATH")
    if not path:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
        loaded = _yaml(text, path) if path.endswith((".yaml", ".yml")) else json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"CONFIG_PATH: cannot read {path}: {error}; allowed: a JSON object, or YAML where PyYAML is installed") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"CONFIG_PATH: {path} holds {type(loaded).__name__}; allowed: one object of settings")
    return {str(key).lower(): value for key, value in loaded.items()}


def _yaml(text: str, path: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise ConfigError(f"CONFIG_PATH: {path} is YAML and PyYAML is not installed; mend: write it as JSON") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"CONFIG_PATH: {path} is not YAML: {error}") from error


def _account_id(region: str) -> str:
    import boto3

    return str(boto3.client("sts", region_name=region).get_caller_identity()["Account"])
