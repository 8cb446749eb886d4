"""What a person reads of a failed job: its own line first."""

from __future__ import annotations

import pytest

from meshplane_cli.log_reading import Fault, fault, next_command, readable

TRACEBACK = """26/05/01 12:00:00 WARN NativeCodeLoader
Traceback (most recent call last):
  File "/tmp/glue/script/daily_revenue.py", line 44, in <module>
    main()
  File "/tmp/glue/script/daily_revenue.py", line 31, in main
    revenue = orders.join(contacts, "customer")
  File "/opt/python/site-packages/pyspark/sql/dataframe.py", line 2498, in join
    jdf = self._jdf.join(other._jdf, on, how)
pyspark.errors.exceptions.captured.AnalysisException: [UNRESOLVED_USING_COLUMN] `customer` cannot be resolved
\tat org.apache.spark
""".splitlines()


def test_the_users_own_line_comes_first() -> None:
    assert fault(TRACEBACK, "what Glue says") == Fault(
        "pyspark.errors.exceptions.captured.AnalysisException: [UNRESOLVED_USING_COLUMN] `customer` cannot be resolved",
        "daily_revenue.py:31 in main",
        'revenue = orders.join(contacts, "customer")',
    )


def test_a_traceback_that_begins_the_log_is_read_whatever_ends_it() -> None:
    lines = [*TRACEBACK[1:], "Exception ignored in: <function JavaObject.__del__>"]
    found = fault(lines)
    assert found
    assert found.place == "daily_revenue.py:31 in main"


@pytest.mark.parametrize(
    ("lines", "reported", "expected"),
    [
        ([], "Command failed with exit code 137", Fault("Command failed with exit code 137")),
        (["java.lang.OutOfMemoryError: Java heap space"], "", Fault("java.lang.OutOfMemoryError: Java heap space")),
        (["all is well"], "", None),
    ],
)
def test_without_a_traceback(lines: list[str], reported: str, expected: Fault | None) -> None:
    assert fault(lines, reported) == expected


def test_the_last_of_two_tracebacks_counts() -> None:
    second = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    f()", "ValueError: no"]
    assert fault([*TRACEBACK, *second]) == Fault("ValueError: no", "a.py:1 in <module>", "f()")


def test_what_python_says_while_it_shuts_down_is_nobodys_fault() -> None:
    ignored = [
        "Exception ignored in: <finalize object>",
        *TRACEBACK[1:2],
        '  File "/lib/python3.11/weakref.py", line 590, in __call__',
        "TypeError: x",
    ]
    told = fault([*TRACEBACK, *ignored])
    assert told
    assert told.place == "daily_revenue.py:31 in main"
    assert fault(ignored[:1] + ignored[1:], "SystemExit: 1") == Fault("SystemExit: 1")


def test_json_lines_read_as_sentences() -> None:
    line = '{"time": "2030-05-01T12:00:01.250Z", "level": "INFO", "logger": "load", "message": "read 5 files", "exception": "a\\nb"}'
    assert list(readable([line, "plain", "{broken"])) == ["12:00:01 INFO    load  read 5 files", "a", "b", "plain", "{broken"]


@pytest.mark.parametrize(
    ("why", "status", "expected"),
    [
        (Fault("x", "a.py:3 in main"), "FAILED", "mend a.py:3, then: meshplane publish sales && meshplane run sales.daily --wait"),
        (Fault("AccessDenied: no"), "FAILED", "meshplane status sales"),
        (Fault("timeout"), "TIMED_OUT", "meshplane run sales.daily --wait"),
        (None, "RUNNING", "meshplane logs sales.daily -f"),
        (None, "SUCCEEDED", "meshplane runs sales"),
    ],
)
def test_the_next_command(why: Fault | None, status: str, expected: str) -> None:
    assert next_command("sales", "daily", why, status) == expected
