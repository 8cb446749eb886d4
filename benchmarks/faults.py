"""All fault plans: `PYTHONPATH=functions:glue_jobs:cli:. python benchmarks/faults.py [--plans N] [--first N] [--spark N]`.

Says how often each kind of write was hit and how the runs ended; exits with 1 when anything is wrong. `tests/faults` plays a tenth.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

from tests.faults.plans import MODES, Finding, covered, play, play_spark
from tests.faults.spark_fleet import Fleet


def main() -> int:
    """Play what is asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--plans", type=int, default=950, help="with pyiceberg as the writer")
    asked.add_argument("--first", type=int, default=0, help="seed of the first of them")
    asked.add_argument("--spark", type=int, default=50, help="with two processes of real Spark")
    given = asked.parse_args()
    os.environ |= {"MOTO_ACCOUNT_ID": "390403879405", "AWS_DEFAULT_REGION": "eu-central-1", "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    logging.getLogger("pyiceberg").setLevel(logging.CRITICAL)
    began, told = time.monotonic(), sys.stdout
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        fleet = Fleet(Path(folder) / "said")
        try:
            for seed in range(given.first, given.first + given.plans):
                found.append(_told(play(seed), told))
            for seed in range(given.spark):
                found.append(_told(play_spark(seed, fleet), told))
        finally:
            fleet.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    wrong = sum(1 for one in found if one.problems)
    print(
        f"{len(found)} plans ({given.spark} with Spark) in {time.monotonic() - began:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of CPU)"
    )
    print("runs:", dict(Counter(outcome for one in found for outcome in one.outcomes)))
    counts = covered(found)
    for step in sorted({step for step, _ in counts}):
        print(f"  {step:16}", ", ".join(f"{counts[step, mode]:4} {mode}" for mode in MODES))
    print(f"{sum(counts.values())} faults, {wrong} plans wrong")
    return 1 if wrong else 0


def _told(one: Finding, to: object) -> Finding:
    for problem in one.problems:
        print(f"seed {one.seed}: {problem}", file=to, flush=True)  # type: ignore[call-overload]
    return one


if __name__ == "__main__":
    sys.exit(main())
