"""Physical names, filled from `naming.json` (REQUIREMENTS D2); settings and the run's records ask here."""

from __future__ import annotations

from dataclasses import dataclass

from dp_foundation.config.packaged import packaged

PURPOSES = ("raw", "refined", "curated", "artifacts", "logs")
LAYERS = ("raw", "refined", "curated")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one domain in one environment."""

    abbr: str
    country_code: str
    account_id: str
    env: str

    def of(self, pattern: str, **parts: str) -> str:
        """Fill the named pattern of `naming.json`."""
        domain = {"abbr": self.abbr, "country_code": self.country_code, "account_id": self.account_id, "env": self.env}
        return str(packaged("naming.json")[pattern]).format(**{**domain, **parts})

    def bucket(self, purpose: str) -> str:
        """`f01-raw-390403879405-de-dev`."""
        return self.of("bucket", purpose=purpose)

    def database(self, layer: str) -> str:
        """`f01_de_refined`."""
        return self.of("database", layer=layer)

    def warehouse(self, layer: str, project: str) -> str:
        """`s3://f01-refined-…/sales/iceberg/`."""
        return f"s3://{self.bucket(layer)}/{self.of('warehouse_prefix', project=project)}"

    def runs_prefix(self, project: str) -> str:
        """`sales/_runs/`, in the refined bucket."""
        return self.of("runs_prefix", project=project)
