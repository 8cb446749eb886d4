"""The embedded AWS's process: `python -m meshplane_cli.local.server ROOT FOLDER PORT`, started and stopped by `stack`.

MOTO_ACCOUNT_ID and MOTO_PORT must be set before moto is imported, so they come from the parent.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.glue_runs.standby import Standby
from meshplane_cli.local.place import Place

log = logging.getLogger("meshplane.local")


def runs(place: Place, endpoint: str) -> Settings:
    """Of job runs and optimizers. MESHPLANE_LOCAL_WARM says how many JVMs wait for them: 1 unless told, 0 where no job will run."""
    jars = Path(os.environ.get("MESHPLANE_JARS") or place.root / ".meshplane" / "jars")
    warm = int(os.environ.get("MESHPLANE_LOCAL_WARM", "1")) if jars.is_dir() else 0
    return Settings(endpoint, place.domain().aws_region, place.folder, jars, warm=warm)


def main(root: str, folder: str, port: str) -> int:
    """The process's whole life."""
    place = Place(Path(root), Path(folder))
    place.log.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    standby = Standby(runs(place, f"http://127.0.0.1:{port}"))
    standby.begin()
    from meshplane_cli.local.embedded_aws import EmbeddedAws  # moto: seconds, in which the JVM warms up

    aws = EmbeddedAws(place, int(port), standby)
    aws.start()
    log.info("up on %s as account %s", aws.endpoint, aws.account)
    aws.run_until_stopped()
    log.info("down")
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:4])
    logging.shutdown()
    os._exit(code)  # threads that wait for others' requests must not hold the process
