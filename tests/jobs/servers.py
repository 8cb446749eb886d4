"""Real servers on loopback for the tests of sources: PostgreSQL and a Kafka broker, from `tests/servers.lock`, without Docker."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshplane_cli.local import jars
from meshplane_cli.local.java import java

ROOT = Path(__file__).parents[2]
PASSWORD = "p4ss'word-of-the-shop"


def binaries() -> Path:
    """The folder of what the lock names, fetched once for this user."""
    return jars.resolve(ROOT, "tests/servers.lock", "servers")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Postgres:
    """A running server; `execute` goes through the driver that Spark has."""

    port: int
    spark: Any = None

    def execute(self, *statements: str) -> None:
        properties = self.spark._jvm.java.util.Properties()
        for name, value in (("user", "shop"), ("password", PASSWORD)):
            properties.setProperty(name, value)
        opened = self.spark._jvm.org.postgresql.Driver().connect(f"jdbc:postgresql://127.0.0.1:{self.port}/postgres", properties)
        try:
            for text in statements:
                opened.createStatement().execute(text)
        finally:
            opened.close()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """PostgreSQL 15 in a folder of its own; as another user where this one is root, whom it refuses."""
    folder, port = Path(tempfile.mkdtemp(prefix="meshplane-pg-")), free_port()
    unpacked = _postgres_programs(folder)
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    data = str(folder / "data")
    made = ["-D", data, "-U", "shop", f"--pwfile={folder / 'password'}", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c log_min_messages=warning"
    start = ["-D", data, "-w", "-t", "60", "-l", str(folder / "log"), "-o", options, "start"]
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, **other}
    try:
        subprocess.run([unpacked / "initdb", *made], **quiet)
        subprocess.run([unpacked / "pg_ctl", *start], **quiet)
        try:
            yield Postgres(port)
        finally:
            subprocess.run([unpacked / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs(folder: Path) -> Path:
    """Its `bin`, unpacked where the other user may read it too; a server of the machine where the lock has none for it."""
    archive = next(binaries().glob("embedded-postgres-binaries-*.jar"))
    if (os.uname().sysname, os.uname().machine) != ("Linux", "x86_64"):
        found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")
        assert found, "no PostgreSQL for this machine in tests/servers.lock, and none on it: install one"
        return Path(found).parent
    folder.chmod(0o755)
    with zipfile.ZipFile(archive) as jar, jar.open("postgres-linux-x86_64.txz") as packed, tarfile.open(fileobj=packed, mode="r:xz") as tar:
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)  # Debian's Python 3.11.2 has no filters yet, and takes no argument
        tar.extractall(folder / "programs")
    (folder / "programs").chmod(0o755)
    return folder / "programs" / "bin"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    """A Kafka broker and controller in one process. `restart` keeps its records."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self._controller = folder, free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "server.properties"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(folder / "logs"),
            "num.partitions": "2",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        self._config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        self._run("kafka.tools.StorageTool", "format", "-t", "bWVzaHBsYW5lLXRlc3RzMQ", "-c", str(self._config))

    def start(self) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self._command("kafka.Kafka", str(self._config)), stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + 60
        while not _answers(self.port):
            said = (self.folder / "broker.log").read_text(errors="replace")[-3000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def stop(self) -> None:
        """As a crash: no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def _run(self, *words: str) -> None:
        subprocess.run(self._command(*words), check=True, capture_output=True, cwd=self.folder, timeout=60)

    def _command(self, main: str, *words: str) -> list[str]:
        path = ":".join(str(jar) for jar in sorted(binaries().glob("*.jar")) if not jar.name.startswith("embedded-postgres"))
        options = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return [str(java()), *options, "-cp", path, main, *words]


@contextmanager
def broker() -> Iterator[Broker]:
    """Up, until the context ends."""
    folder = Path(tempfile.mkdtemp(prefix="meshplane-kafka-"))
    made = Broker(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
