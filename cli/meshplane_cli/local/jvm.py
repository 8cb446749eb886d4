"""Warm JVMs that job runs and optimizers borrow, one at a time each: the same job in a seventh of the time (spark-local §5).

A borrower gets a Py4J gateway of its own, and system properties that its SparkConf reads as defaults: session settings and its
own role's credentials, so that job code does not notice. What it leaves behind (context, sessions, open file systems, properties,
log levels) is cleaned; a JVM that cannot be cleaned is replaced. Two JVMs at most, about 1 GB each.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from meshplane_cli.local import class_archive
from meshplane_cli.local.jars import pyspark_home
from meshplane_cli.local.java import SetupError, java

log = logging.getLogger("meshplane.jvm")
logging.getLogger("py4j").setLevel(logging.WARNING)  # it tells of every connection that closes

LIMIT = 2  # JVMs alive at once: 0.6 to 0.9 GB each, on a laptop of 2 cores
PATIENCE = 20.0  # seconds to wait for a warm JVM before another one is started: a cold start beside a run takes both cores that long
START_SECONDS = 60.0
CLEAN_SECONDS = 15.0  # for stopping what a run left; a JVM that takes longer is replaced
IDLE_SECONDS = 3.0  # for what a killed run has still under way there
_AT_WORK = ("py4j.reflection.MethodInvoker", "org.apache.spark.executor.Executor$TaskRunner")
RETIRE_AFTER = 200  # runs: generated classes add up
# Short local runs gain more from a quick compiler than from a good one: 15 → 10 s for a whole job.
# Room for the young generation and for compiled code: with Java's own guesses a run spends a second in collecting and compiling anew.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=240m", "-Xms768m", "-Xmn384m")
# What Spark's own launcher adds on Java 17 (org.apache.spark.launcher.JavaModuleOptions, 3.5).
_OPENS = (
    ["lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "util", "util.concurrent", "util.concurrent.atomic"],
    ["jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"],
)
OPENS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-Djdk.reflect.useDirectMethodHandle=false",
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENS[0]),
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS[1]),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
)

# Warnings and worse, less what means nothing here: no native Hadoop, and buckets that need no Region.
LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.metrics.name = org.apache.hadoop.metrics2
logger.metrics.level = error
logger.region.name = software.amazon.awssdk
logger.region.level = error
"""

Output = Callable[[str, str], None]
"""stream (`stdout` or `stderr`), line without its end."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run needs of its JVM at start. Anything but the plain wish gets a JVM of its own, started for it."""

    iceberg: bool = True
    jars: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Can a warm JVM serve it?"""
        return self == Wish()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where a borrower's pyspark connects: PYSPARK_GATEWAY_PORT and PYSPARK_GATEWAY_SECRET."""

    port: int
    secret: str


class Jvm:
    """One JVM process. `lend` and `take_back` alternate; `kill` ends it. It dies with this process: its stdin closes."""

    def __init__(self, jars: Path, wish: Wish, region: str, scratch: Path, options: tuple[str, ...] | None = None) -> None:
        self.wish, self.runs, self.region = wish, 0, region
        self._options = options if options is not None else class_archive.option(jars) if wish.iceberg else ()
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix="jvm-", dir=scratch))
        self._output: Output | None = None
        self._seen: dict[str, threading.Event] = {}
        self._server: Any = None
        info = self._scratch / "gateway"
        (self._scratch / "log4j2.properties").write_text(LOGGING, encoding="ascii")
        self._process = subprocess.Popen(
            self._command(jars),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._scratch,
            env=self._environment(info, region),
            start_new_session=True,
        )
        for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            threading.Thread(target=self._read, args=(name, stream), name=f"jvm-{name}", daemon=True).start()
        self._client = self._connect(info)
        self._jvm: Any = self._client.jvm
        self._runtime = self._jvm.java.lang.Runtime.getRuntime()
        self._baseline = self._jvm.java.lang.System.getProperties().clone()  # kept over there: one call instead of hundreds

    def _command(self, jars: Path) -> list[str]:
        own = sorted(jars.glob("*.jar")) if self.wish.iceberg else sorted(j for j in jars.glob("*.jar") if "iceberg" not in j.name)
        path = os.pathsep.join([f"{pyspark_home()}/jars/*", *map(str, (*own, *self.wish.jars))])
        options = (*QUICK, *OPENS, *self._options, "-Xmx1g", "-Duser.timezone=UTC", f"-Djava.io.tmpdir={self._scratch}")
        logging_by = f"-Dlog4j2.configurationFile={self._scratch}/log4j2.properties"
        return [str(java()), *options, logging_by, *self.wish.options, "-cp", path, "org.apache.spark.api.python.PythonGatewayServer"]

    def _environment(self, info: Path, region: str) -> dict[str, str]:
        """No credentials: each borrower brings its own as properties, which AWS's SDKs read before the environment."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "USER") if name in os.environ}
        return {
            **kept,
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(info),
            "SPARK_HOME": str(pyspark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self._scratch),
            "PYSPARK_PYTHON": sys.executable,
            "AWS_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def _connect(self, info: Path) -> Any:
        from py4j.clientserver import ClientServer, JavaParameters, PythonParameters

        until = time.monotonic() + START_SECONDS
        while not info.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise SetupError("the JVM for local Spark did not start; .meshplane/log tells why")
            time.sleep(0.02)
        raw = info.read_bytes()  # PythonGatewayServer: int port, int length, secret
        port, length = struct.unpack(">ii", raw[:8])
        java_side = JavaParameters(port=port, auth_token=raw[8 : 8 + length].decode(), auto_convert=True)
        return ClientServer(java_parameters=java_side, python_parameters=PythonParameters(port=0, eager_load=False))

    def _read(self, name: str, stream: IO[bytes]) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            marker = self._seen.get(f"{name}:{line}")
            if marker is not None:
                marker.set()
            elif self._output is not None:
                self._output(name, line)
            else:
                log.debug("%s: %s", name, line)

    @property
    def alive(self) -> bool:
        """Is the process there?"""
        return self._process.poll() is None

    def lend(self, properties: Mapping[str, str], output: Output) -> Gateway:
        """Ready the JVM for one run: `properties` become defaults of its SparkConf, what the JVM prints goes to `output`."""
        self.runs += 1
        self._output = output
        system = self._jvm.java.lang.System
        scratch = {"spark.sql.warehouse.dir": f"{self._scratch}/warehouse", "spark.hadoop.hadoop.tmp.dir": str(self._scratch)}
        for key, value in {**scratch, **properties}.items():
            system.setProperty(key, value)
        self._server = self._jvm.org.apache.spark.api.python.Py4JServer(self._jvm.org.apache.spark.SparkConf())
        self._server.start()
        return Gateway(self._server.getListeningPort(), self._server.secret())

    def take_back(self, killed: bool) -> bool:
        """Clean up after a run; True when the JVM is as before. `killed`: its process did not end by itself."""
        cleaned = threading.Event()

        def clean() -> None:
            try:
                self._clean(killed)
                cleaned.set()
            except Exception:  # a JVM that cannot be cleaned is replaced, whatever the reason
                log.info("a JVM could not be cleaned and is replaced", exc_info=True)

        thread = threading.Thread(target=clean, name="jvm-clean", daemon=True)
        thread.start()
        thread.join(CLEAN_SECONDS)
        self._output = None
        return cleaned.is_set() and self.alive and self.runs < RETIRE_AFTER

    def _clean(self, killed: bool) -> None:
        java_lang = self._jvm.java.lang
        self._server.shutdown()  # no further word from the run, not even from a child that outlived it
        companion = java_lang.Class.forName("org.apache.spark.SparkContext$").getField("MODULE$").get(None)
        context = companion.getActive()
        if context.isDefined():
            context.get().stop()
        if killed:
            self._await_idle()
        self._flush()
        session = self._jvm.org.apache.spark.sql.SparkSession
        session.clearActiveSession()
        session.clearDefaultSession()
        self._jvm.org.apache.hadoop.fs.FileSystem.closeAll()  # cached by bucket, not by caller: the next run has other credentials
        java_lang.System.setProperties(self._baseline.clone())
        self._jvm.org.apache.logging.log4j.core.config.Configurator.reconfigure()
        if self._crowded():
            java_lang.System.gc()
            if self._crowded():
                raise RuntimeError("too much of the heap is still in use")
        # S3A looks for its folder of buffers once in the life of a JVM: it is emptied and stays.
        for left in (*self._scratch.iterdir(), *self._scratch.glob("s3a/*")):
            if left.name not in ("gateway", "log4j2.properties", "s3a"):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)

    def _crowded(self) -> bool:
        return bool(self._runtime.totalMemory() - self._runtime.freeMemory() > 0.6 * self._runtime.maxMemory())

    def _await_idle(self) -> None:
        """A killed run's last command or task may still be at work (a commit, an upload, a loop): wait until only this call is."""
        until = time.monotonic() + IDLE_SECONDS
        while True:
            stacks = [self._jvm.java.util.Arrays.toString(stack) for stack in self._jvm.java.lang.Thread.getAllStackTraces().values()]
            if sum(any(work in stack for work in _AT_WORK) for stack in stacks) <= 1:
                return
            if time.monotonic() > until:
                raise RuntimeError("a killed run is still at work in its JVM")
            time.sleep(0.1)

    def _flush(self) -> None:
        """Everything that the run printed has gone to its logs."""
        for name, stream in (("stdout", self._jvm.java.lang.System.out), ("stderr", self._jvm.java.lang.System.err)):
            word = secrets.token_hex(8)
            event = self._seen[f"{name}:{word}"] = threading.Event()
            stream.println(word)
            event.wait(2)
            del self._seen[f"{name}:{word}"]

    def end(self, seconds: float) -> None:
        """Let the process end by itself, as it does when nobody holds its stdin. subprocess.TimeoutExpired when it does not."""
        self._process.communicate(timeout=seconds)

    def kill(self) -> None:
        """End the process and remove its files; a second call does nothing."""
        if hasattr(self, "_client"):
            self._client._gateway_client.is_connected = False  # else each forgotten object is reported to a JVM that is gone
        if self.alive:
            self._process.kill()
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


class JvmPool:
    """All JVMs of one embedded AWS. `jars` holds Iceberg and S3A; `scratch` their temporary files.

    `on_loss` is called when a JVM that was warm (not its first run) had to be given up; `patience` is how long a run waits for a
    warm one, in seconds.
    """

    def __init__(self, jars: Path, region: str, scratch: Path) -> None:
        self._jars, self._region, self._scratch = jars, region, scratch
        self._changed = threading.Condition()
        self._idle: list[Jvm] = []
        self._busy: list[Jvm] = []
        self._starting = 0
        self._waiting: deque[object] = deque()  # warm JVMs are lent in the order of asking
        self._closed = False
        self.patience = PATIENCE
        self.on_loss: Callable[[], None] = lambda: None

    @contextmanager
    def lend(
        self, wish: Wish, properties: Mapping[str, str], output: Output, fresh: bool = False
    ) -> Iterator[tuple[Gateway, Callable[[], None]]]:
        """A gateway for one run, and a function to call when the run's process had to be killed. `fresh`: of a JVM that is started for it.

        Waits for a free JVM where LIMIT are busy. SetupError when none starts, or the pool is closed.
        """
        jvm = self._take(wish, fresh)
        killed = threading.Event()
        clean = False
        try:
            yield jvm.lend(properties, output), killed.set
            clean = True
        finally:
            usable = jvm.take_back(killed.is_set() or not clean) and wish.plain and not self._closed
            if not usable:
                jvm.kill()
            with self._changed:
                self._busy.remove(jvm)
                if usable:
                    self._idle.append(jvm)
                self._changed.notify_all()
            if not usable and wish.plain and jvm.runs > 1 and not self._closed:
                self.on_loss()

    def _take(self, wish: Wish, fresh: bool = False) -> Jvm:
        until, ticket = time.monotonic() + self.patience, object()
        with self._changed:
            if fresh and self._alive >= LIMIT:
                raise SetupError(f"{LIMIT} JVMs are there already")
            self._waiting.append(ticket)
            try:
                while not (self._closed or fresh or self._may_start(wish, until)):
                    self._idle = [jvm for jvm in self._idle if jvm.alive]
                    if wish.plain and self._idle and self._waiting[0] is ticket:
                        jvm = max(self._idle, key=lambda idle: idle.runs)  # the warmest
                        self._idle.remove(jvm)
                        self._busy.append(jvm)
                        return jvm
                    self._changed.wait(0.2)
            finally:
                self._waiting.remove(ticket)
            if self._closed:
                raise SetupError("the embedded AWS is stopping: no JVM is lent any more")
            while self._idle and self._alive >= LIMIT:
                self._idle.pop(0).kill()
            self._starting += 1
        try:
            jvm = Jvm(self._jars, wish, self._region, self._scratch)
            with self._changed:
                self._busy.append(jvm)
            return jvm
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()

    @property
    def _alive(self) -> int:
        return len(self._idle) + len(self._busy) + self._starting

    def _may_start(self, wish: Wish, until: float) -> bool:
        """A JVM of its own at once where one is needed; a further warm one only when none is free for a while."""
        if not wish.plain:
            return len(self._busy) + self._starting < LIMIT
        if any(jvm.alive for jvm in self._idle):
            return False
        return self._alive < LIMIT and (self._alive == 0 or time.monotonic() > until)

    def close(self) -> None:
        """End every JVM; runs in them fail."""
        with self._changed:
            self._closed = True
            jvms = [*self._idle, *self._busy]
            self._idle = []
            self._changed.notify_all()
        for jvm in jvms:
            jvm.kill()
