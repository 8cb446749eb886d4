"""The Lambda runtime API (AWS Lambda developer guide, "Using the Lambda runtime API"), one small server per worker process.

The worker's runtime client asks for the next invocation, and posts its response or error. Called by `worker`.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the function. `deadline_ms`: milliseconds since 1970, by the machine's clock."""

    request_id: str
    payload: bytes
    function_arn: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function gave back; `error`: an exception's JSON (errorType, errorMessage, stackTrace) instead of a result."""

    request_id: str
    payload: bytes
    error: bool


@dataclass(slots=True)
class Mailbox:
    """Between the worker that asks and the HTTP threads that serve its process. None in `inbox` ends the waiting request."""

    inbox: queue.Queue[Invocation | None] = field(default_factory=queue.Queue)
    outbox: queue.Queue[Answer] = field(default_factory=queue.Queue)
    init_error: bytes = b""


class RuntimeApi:
    """Serves one worker process on a free port of loopback."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.mailbox))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="runtime-api", daemon=True).start()

    @property
    def address(self) -> str:
        """host:port, for AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End the waiting request and the server."""
        self.mailbox.inbox.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler(mailbox: Mailbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the first one's acknowledgement

        def do_GET(self) -> None:
            invocation = mailbox.inbox.get() if self.path == f"{_PREFIX}invocation/next" else None
            if invocation is None:  # the worker is being ended
                self.close_connection = True
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Content-Type": "application/json",
            }
            self._answer(200, invocation.payload, headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            parts = self.path.removeprefix(_PREFIX).split("/")
            if parts[0] == "invocation":
                mailbox.outbox.put(Answer(parts[1], body, error=parts[2] == "error"))
            else:
                mailbox.init_error = body
            self._answer(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Say nothing: the function's own log is what people read."""

    return Handler
