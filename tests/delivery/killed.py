"""`python killed.py NUMBER WORDS…`: `meshplane WORDS…`, killed as soon as its mutating request of that number was answered.

SIGKILL: no `finally` runs and what other threads have under way is cut off. The last line on stderr says after what.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from typing import Any

from botocore.endpoint import Endpoint

READS = ("Describe", "Get", "Head", "List")


def kill_after(number: int) -> None:
    """Count what every client of this process asks."""
    asked, lock, make_request = [0], threading.Lock(), Endpoint.make_request

    def counted(self: Any, operation_model: Any, request_dict: Any) -> Any:
        answer = make_request(self, operation_model, request_dict)
        if not operation_model.name.startswith(READS):
            with lock:
                asked[0] += 1
                if asked[0] == number:
                    os.write(2, f"\nkilled after {operation_model.name} {request_dict['url_path']}\n".encode())
                    os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Endpoint.make_request = counted


if __name__ == "__main__":
    kill_after(int(sys.argv[1]))
    sys.argv = ["meshplane", *sys.argv[2:]]
    runpy.run_module("meshplane_cli", run_name="__main__", alter_sys=True)
