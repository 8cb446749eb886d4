"""`domain.json`: the only file edited to adopt the product (REQUIREMENTS D1). Read by the CLI, the build and, copied beside the
code by the build, by the functions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from meshplane.model.naming import Naming

ENVIRONMENTS = ("dev", "int", "prod")


class Domain(BaseModel):
    """The domain's identity and its platform-wide settings. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain_name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,62}$", description="The domain's name, for people and tags.")
    domain_abbr: str = Field(pattern=r"^[a-z][a-z0-9]{1,9}$", description="Short name: the first part of every physical name.")
    aws_region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="The one AWS Region of the domain.")
    country_code: str = Field(pattern=r"^[a-z]{2}$", description="Two letters; part of bucket and database names. Never guessed.")
    accounts: dict[str, str] = Field(default_factory=dict, description="AWS account id (12 digits) per environment.")
    python_version: str = Field(default="3.11", description="Python of the jobs: Glue 5.1 runs 3.11.")
    terraform_version: str = Field(default="1.11.4", description="Terraform of the baseline.")

    def naming(self, env: str, account_id: str = "") -> Naming:
        """The names of this domain in one environment. `account_id` wins over the declared one (a Lambda knows its own)."""
        account = account_id or self.accounts.get(env, "")
        return Naming(self.domain_abbr, self.country_code, account, self.aws_region, env)
