"""A local HTTP server that answers as a provider does: what it says is up to a dialect, one file each beside this."""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """One request that the server received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What is sent back: a body whole, or in pieces, each a chunk of its own."""

    body: bytes | list[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def whole(value: Any, **headers: str) -> Answer:
    """Answer in JSON."""
    return Answer(json.dumps(value).encode(), headers=headers)


def sse(events: Iterable[Any], *, named: bool = False, done: bool = False) -> Answer:
    """Answer by server-sent events; `named` after their type, `done` ends with OpenAI's mark."""
    pieces = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    if done:
        pieces.append(b"data: [DONE]\n\n")
    return Answer(pieces, "text/event-stream")


def lines(events: Iterable[Any]) -> Answer:
    """Answer by a JSON object a line."""
    return Answer([json.dumps(event).encode() + b"\n" for event in events], "application/x-ndjson")


class Loopback(ThreadingHTTPServer):
    """Serves one dialect on a port of its own, while it is used as a context manager.

    Parameters
    ----------
    dialect : callable
        From what was asked to the answer.
    host : str
        Name that clients ask for; the tests resolve it to the loopback.

    Attributes
    ----------
    asked : list of Asked
        What came in, in order.
    failures : deque of Answer
        Given before the dialect is asked.
    pause : bool
        Whether a stream stops after its first pieces until the client goes away.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, dialect: Callable[[Asked], Answer], host: str = "127.0.0.1"):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.dialect = dialect
        self.name = host
        self.asked: list[Asked] = []
        self.failures: deque[Answer] = deque()
        self.pause = False
        self.stopping = threading.Event()

    def server_bind(self) -> None:
        """Bind without looking up the machine's name, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def host(self) -> str:
        """Name and port, as a row has them."""
        return f"{self.name}:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"http://{self.host}"

    def fail(self, status: int, error: Any, **headers: str) -> None:
        """Refuse the next request."""
        self.failures.append(Answer(json.dumps(error).encode(), status=status, headers=headers))


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Loopback

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        text = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path.partition("?")[0], headers, json.loads(text) if text else {})
        self.server.asked.append(asked)
        answer = self.server.failures.popleft() if self.server.failures else self.server.dialect(asked)
        try:
            self._send(answer)
        except ConnectionError:
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        if isinstance(answer.body, bytes):
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, piece in enumerate(answer.body):
            if self.server.pause and number == len(answer.body) // 2:
                self._wait_for_the_client_to_leave()
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _wait_for_the_client_to_leave(self) -> None:
        self.close_connection = True
        self.connection.settimeout(0.05)
        while not self.server.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
