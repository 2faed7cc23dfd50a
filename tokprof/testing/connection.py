"""The HTTP side of the simulated provider: one connection at a time, keep-alive, chunked streams."""

import contextlib
import gzip
import json
import socket
import socketserver
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tokprof.testing import anthropic, openai, responses
from tokprof.testing.answers import Answer, Dialect, Event, RecordedRequest, Reply, answer, compact, in_pieces
from tokprof.testing.prefixes import PrefixCache

_DIALECTS = {each.path: each for each in (openai.CHAT, responses.RESPONSES, openai.EMBEDDINGS, anthropic.MESSAGES)}
_COUNT_PATH = "/v1/messages/count_tokens"
_MODELS_PATH = "/v1/models"
_KNOWN = ", ".join([*(f"POST {path}" for path in (*_DIALECTS, _COUNT_PATH)), f"GET {_MODELS_PATH}"])
_MODELS = ("gpt-4o-mini", "gpt-4o", "text-embedding-3-small", "claude-sonnet-4-5", "claude-haiku-4-5")
_SECRET_HEADERS = {"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"}


class Backend(Protocol):
    """What a connection needs of the provider."""

    latency: float
    tokens_per_second: float | None
    compress: bool
    text: str
    cache: PrefixCache | None

    def record(self, request: RecordedRequest) -> int:
        """Keep a request, and return its running number."""

    def choose(self, request: RecordedRequest) -> Reply:
        """Return the reply to give, and count it as given."""

    def tell(self, request: RecordedRequest, truth: dict[str, Any]) -> None:
        """Keep the usage of an answer that begins now."""

    def wait(self, seconds: float) -> None:
        """Wait, or raise ConnectionAbortedError if the provider stops meanwhile."""


class Server(ThreadingHTTPServer):
    """A threading server that closes its connections when it stops."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._sockets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Connection)

    def server_bind(self) -> None:
        """Bind without the name look-up of HTTPServer, which takes seconds on some machines."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection, and serve it."""
        self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection, and close it."""
        self._sockets.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the listening socket and every connection."""
        super().server_close()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = "tokprof-simulated"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Serve a request of any method."""
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self._send_error(None, 411, "send the body with a content-length")
            return
        body: Any = None
        content = self.rfile.read(int(length))
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(content) if content else {}
        path = self.path.partition("?")[0].rstrip("/") or "/"
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _SECRET_HEADERS}
        request = RecordedRequest(self.command, path, headers, body if isinstance(body, dict) else {})
        dialect = _DIALECTS.get(path) if self.command == "POST" else None
        problem = self._read(dialect, request, body)
        number = self.server.backend.record(request)
        if problem:
            self._send_error(request, 400, problem)
        elif dialect:
            self._answer(dialect, request, number)
        else:
            self._answer_other(request)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _read(self, dialect: Dialect | None, request: RecordedRequest, body: Any) -> str | None:
        """Complete a recorded request from its body; return what is wrong with it, if anything."""
        if not isinstance(body, dict):
            return "the body is not a JSON object"
        request.model = str(body.get("model", ""))
        if dialect is None:
            return None
        for name in dialect.required:
            if body.get(name) is None:
                return f"missing required parameter: {name}"
        if body.get("n") not in (None, 1):
            return "the simulated provider gives one choice only: leave out n"
        request.stream = bool(body.get("stream")) and dialect.events is not None
        try:
            request.prompt = "\n".join(dialect.messages(body))
        except (TypeError, KeyError, IndexError):
            return f"{dialect.required[1]} has not the shape {dialect.path} takes"
        return None

    def _answer_other(self, request: RecordedRequest) -> None:
        if request.method == "GET" and request.path == _MODELS_PATH:
            self._send_json(request, 200, _models("anthropic-version" in request.headers), {})
        elif request.method == "POST" and request.path == _COUNT_PATH:
            try:
                counted = {"input_tokens": anthropic.MESSAGES.input_tokens(request.body)}
            except (TypeError, KeyError):
                self._send_error(request, 400, "messages: give a list of messages")
                return
            self._send_json(request, 200, counted, {})
        else:
            advice = "An OpenAI client takes base_url=provider.openai_url, an Anthropic one provider.anthropic_url."
            message = f"The simulated provider has no {request.method} {request.path}. It knows {_KNOWN}. {advice}"
            self._send_error(request, 404, message)

    def _answer(self, dialect: Dialect, request: RecordedRequest, number: int) -> None:
        backend = self.server.backend
        try:
            reply = backend.choose(request)
        except Exception as problem:
            self._send_error(request, 400, f"the `when` of a scripted reply raised {problem!r}")
            return
        backend.wait(backend.latency if reply.latency is None else reply.latency)
        if reply.drop == "before":
            self.close_connection = True
            return
        request.status = reply.status
        headers = {dialect.request_id_header: f"req_sim{number:08d}"}
        if reply.retry_after is not None:
            headers["retry-after"] = f"{reply.retry_after:.15g}"
            headers["retry-after-ms"] = f"{reply.retry_after * 1000:.15g}"
        if reply.body is not None:
            self._send_raw(reply, reply.body, headers)
        elif reply.status >= 400:
            body = dialect.error(reply.status, reply.text or f"simulated failure with status {reply.status}")
            self._send_json(request, reply.status, body, headers, drop=reply.drop == "mid")
        else:
            given = answer(reply, backend.text, dialect, request, number, backend.cache)
            self._send_answer(dialect, given, headers, drop=reply.drop == "mid")

    def _send_answer(self, dialect: Dialect, given: Answer, headers: dict[str, str], drop: bool) -> None:
        backend, request = self.server.backend, given.request
        status = request.status or 200
        try:
            events = list(dialect.events(given)) if request.stream and dialect.events else []
            body = {} if events else dialect.render(given)
        except (TypeError, ValueError, KeyError) as problem:
            self._send_error(request, 400, f"the request has not the shape {dialect.path} takes: {problem!r}")
            return
        seconds = given.usage.output_tokens / backend.tokens_per_second if backend.tokens_per_second else 0.0
        if not events:
            backend.wait(seconds)
        if not drop:
            backend.tell(request, given.usage.truth(given.model))
        if not events:
            self._send_json(request, status, body, headers, drop=drop)
            return
        self._send_head(status, {**headers, "content-type": "text/event-stream; charset=utf-8"}, None)
        for data in self._paced(events[: (len(events) + 1) // 2] if drop else events, events, seconds):
            self._write_chunk(data)
        self._end_chunks(drop)

    def _paced(self, sent: list[Event], events: list[Event], seconds: float) -> Iterator[bytes]:
        """Yield events as bytes, spreading some seconds over the paced ones."""
        total = sum(event.paced for event in events)
        begin, passed = time.monotonic(), 0
        for event in sent:
            if event.paced and seconds:
                passed += 1
                self.server.backend.wait(begin + seconds * passed / total - time.monotonic())
            name = f"event: {event.name}\n" if event.name else ""
            data = event.data if isinstance(event.data, str) else compact(event.data)
            yield f"{name}data: {data}\n\n".encode(errors="replace")

    def _send_error(self, request: RecordedRequest | None, status: int, message: str) -> None:
        anthropic_client = "anthropic-version" in self.headers or self.path.startswith(anthropic.MESSAGES.path)
        error = anthropic.error if anthropic_client else openai.error
        self._send_json(request, status, error(status, message), {})

    def _send_json(
        self,
        request: RecordedRequest | None,
        status: int,
        body: dict[str, Any],
        headers: dict[str, str],
        drop: bool = False,
    ) -> None:
        if request is not None:
            request.status = status
        content = compact(body).encode(errors="replace")
        headers = {**headers, "content-type": "application/json"}
        if self.server.backend.compress and "gzip" in self.headers.get("accept-encoding", ""):
            content = gzip.compress(content, mtime=0)
            headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        self._send_head(status, headers, len(content))
        self.wfile.write(content[: len(content) // 2] if drop else content)
        self.close_connection = self.close_connection or drop

    def _send_raw(self, reply: Reply, body: bytes, headers: dict[str, str]) -> None:
        headers = {**headers, "content-type": reply.content_type}
        if reply.content_encoding is not None:
            headers["content-encoding"] = reply.content_encoding
        drop = reply.drop == "mid"
        sent = body[: len(body) // 2] if drop else body
        if reply.chunks is None:
            self._send_head(reply.status, headers, len(body))
            self.wfile.write(sent)
            self.close_connection = self.close_connection or drop
            return
        self._send_head(reply.status, headers, None)
        for piece in in_pieces(sent.decode("latin-1"), reply.chunks):
            self._write_chunk(piece.encode("latin-1"))
        self._end_chunks(drop)

    def _send_head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(length))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _end_chunks(self, drop: bool) -> None:
        if drop:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def _models(anthropic_client: bool) -> dict[str, Any]:
    if anthropic_client:
        names = [name for name in _MODELS if name.startswith("claude")]
        since = "2025-01-01T00:00:00Z"
        data = [{"type": "model", "id": name, "display_name": name, "created_at": since} for name in names]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    listed = [{"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "simulated"} for name in _MODELS]
    return {"object": "list", "data": listed}
