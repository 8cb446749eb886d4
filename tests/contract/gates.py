"""The gates of a pull request as functions of a checkout: what each finds, one line a finding, naming file and resource.

Each gate declares the files that it reads. It is a function of them alone, so a change of other files cannot turn it red, and need not be
asked of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from samtranslator.model.exceptions import InvalidDocumentException

from meshplane_cli.manifests import problems
from meshplane_cli.surroundings import Checkout
from tests.contract.access_simulator import functions_of
from tests.contract.iam_lint import findings as policy_findings
from tests.contract.state_machine_lint import findings as machine_findings

ROOT = Path(__file__).parents[2]
SECURITY = ROOT / ".meshplane" / "security" / "bin"
OF_RESOURCES = {"bucket", "logs_bucket", "key", "ci_trust", "flow_logs_trust", "log_delivery", "endpoint", "endpoint_without_resource"}

_WORD = re.compile(r"\$\{(\w+)\}")
_FILLED = {
    "action": "glue:*",
    "unresourced": "cloudwatch:PutMetricData",
    "region": "eu-central-1",
    "key_users": "",
    "kms_alias": "alias/x",
    "account_id": "390403879405",
}


@dataclass(frozen=True)
class Gate:
    """`reads`: patterns of the files that it looks at, relative to the checkout."""

    reads: tuple[str, ...]
    find: Callable[[Path], list[str]]

    def looks_at(self, path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in self.reads)


def _run(*command: str | Path, cwd: Path, ok: tuple[int, ...] = (0, 1)) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode in ok, f"{command}: exit {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout


def validate(root: Path) -> list[str]:
    """`meshplane validate` of every project."""
    checkout = Checkout(root)
    return [str(problem) for name in checkout.projects for problem in problems(checkout, name)]


def cfn_lint(root: Path) -> list[str]:
    program = Path(sys.executable).with_name("cfn-lint")
    rows = json.loads(_run(program, "-f", "json", "template.yaml", cwd=root, ok=(0, 2, 4, 6, 8, 10, 12, 14)) or "[]")
    return [f"{row['Filename']}: {'/'.join(map(str, row['Location']['Path'] or ()))}: {row['Message']}" for row in rows]


def schema(root: Path) -> list[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    files = sorted(map(str, (root / ".github/workflows").glob("*.yml")))
    told = json.loads(_run(program, "-o", "json", "--builtin-schema", "vendor.github-workflows", *files, cwd=root))
    rows = [*told.get("errors", ()), *told.get("parse_errors", ())]
    return [f"{Path(row['filename']).name}: {row.get('path', '')}: {row.get('message', row)}" for row in rows]


def zizmor(root: Path) -> list[str]:
    program = Path(sys.executable).with_name("zizmor")
    rows = json.loads(_run(program, "--offline", "--pedantic", "--format", "json", ".github", cwd=root, ok=(0, *range(10, 15))))
    return [f"{row['locations'][0]['symbolic']['key']['Local']['verbatim_path']}: {row['ident']}: {row['desc']}" for row in rows]


def _checkov(root: Path, *words: str) -> list[str]:
    assert SECURITY.is_dir(), "checkov is not installed: ./dev test does it, or ./dev security"
    told = json.loads(_run(SECURITY / "checkov", *words, "-o", "json", "--quiet", "--compact", "--skip-download", cwd=root))
    reports = told if isinstance(told, list) else [told]
    return [
        f"{row['file_path']}: {row['resource']}: {row['check_id']} {row['check_name']}"
        for report in reports
        for row in report.get("results", {}).get("failed_checks", ())
    ]


def checkov_terraform(root: Path) -> list[str]:
    return _checkov(root, "-d", "baseline_tf", "--framework", "terraform")


def checkov_template(root: Path) -> list[str]:
    return _checkov(root, "-f", "template.yaml", "--config-file", "template.checkov.yaml")


def checkov_dockerfile(root: Path) -> list[str]:
    return _checkov(root, "-f", "Dockerfile", "--framework", "dockerfile")


def policies(root: Path) -> list[str]:
    """The documents of the baseline, whatever their words are filled with."""
    found = []
    for path in sorted((root / "baseline_tf/policies").glob("*.json.tftpl")):
        name = path.name.partition(".")[0]
        text = _WORD.sub(lambda word: _FILLED.get(word[1], "x"), path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {line}" for line in policy_findings(json.loads(text), of_resource=name in OF_RESOURCES)]
    return found


def template_policies(root: Path) -> list[str]:
    """The roles of the functions, every reference resolved."""
    try:
        roles = functions_of(root).items()
    except InvalidDocumentException as refused:  # by SAM
        return [f"template.yaml: {cause.message}" for cause in refused.causes]
    return [f"template.yaml: {name}: {line}" for name, documents in roles for one in documents for line in policy_findings(one)]


def state_machines(root: Path) -> list[str]:
    """The platform's own; a project's are read by `meshplane validate`."""
    paths = sorted((root / "statemachines").glob("*.asl.json"))
    return [f"{path.name}: {line}" for path in paths for line in machine_findings(path.read_text(encoding="utf-8"))]


GATES: Mapping[str, Gate] = {
    "meshplane validate": Gate(("projects/*", "domain.json"), validate),
    "cfn-lint": Gate(("template.yaml",), cfn_lint),
    "checkov template": Gate(("template.yaml", "template.checkov.yaml"), checkov_template),
    "template policies": Gate(("template.yaml",), template_policies),
    "statelint": Gate(("statemachines/*",), state_machines),
    "checkov terraform": Gate(("baseline_tf/*.tf", "baseline_tf/policies/*"), checkov_terraform),
    "policy lint": Gate(("baseline_tf/policies/*",), policies),
    "workflow schema": Gate((".github/workflows/*",), schema),
    "zizmor": Gate((".github/workflows/*",), zizmor),
    "checkov dockerfile": Gate(("Dockerfile",), checkov_dockerfile),
}
