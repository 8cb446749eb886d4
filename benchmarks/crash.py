"""Every fault at every request of every scene: how many plans, how long, and what was found. `PYTHONPATH=functions:glue_jobs:cli:. python
benchmarks/crash.py [--scene NAME] [--mode MODE] [--reads]`; exits with 1 when a plan ends otherwise than the undisturbed run.

The tests play two faults (dies, reply lost); here come the others, those of reads among them.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import Counter

from meshplane_cli.local import repairs
from tests.crash import run_scenes
from tests.crash.scenarios import Played, play
from tests.crash.tap import Mode

OF_READS = (Mode.BROKEN, Mode.DENIED)


def main() -> int:
    """Play what is asked for, everything by default."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--scene", choices=sorted(run_scenes.SCENES), action="append")
    asked.add_argument("--mode", choices=[mode.name.lower() for mode in Mode], action="append")
    asked.add_argument("--reads", action="store_true", help="fail each read once, too")
    asked.add_argument("--abreast", type=int, default=os.cpu_count() or 1, help="copies at once")
    given = asked.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "MOTO_ACCOUNT_ID": "390403879405"}
    os.environ.pop("AWS_ENDPOINT_URL", None)
    repairs.apply()
    modes = tuple(Mode[name.upper()] for name in given.mode or [mode.name for mode in Mode])
    began, plans, wrong = time.monotonic(), 0, 0
    for scene in given.scene or run_scenes.SCENES:
        at = time.monotonic()
        found = play(scene, modes, OF_READS if given.reads else (), given.abreast)
        plans, wrong = plans + len(found.findings), wrong + len(found.wrong)
        print(_line(scene, found, time.monotonic() - at), flush=True)
        for finding in found.wrong:
            print(f"  {finding}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{plans} plans in {time.monotonic() - began:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of CPU), {wrong} wrong")
    return 1 if wrong else 0


def _line(scene: str, found: Played, seconds: float) -> str:
    faults = ", ".join(f"{count} {mode}" for mode, count in Counter(finding.mode for finding in found.findings).items())
    return f"{scene:24} {found.requests:3} mutating requests, {len(found.findings):4} plans in {seconds:5.0f} s: {faults}"


if __name__ == "__main__":
    sys.exit(main())
