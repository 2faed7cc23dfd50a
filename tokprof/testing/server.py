"""The simulated provider: its life, its script, its records, and clients that speak to it."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from tokprof.testing.answers import RecordedRequest, Reply
from tokprof.testing.connection import Server
from tokprof.testing.prefixes import PrefixCache

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic
    from openai import AsyncOpenAI, OpenAI

When = str | Callable[[RecordedRequest], object] | None


class SimulatedProvider:
    """
    A loopback HTTP server that speaks the APIs of OpenAI and Anthropic.

    It answers chat completions, responses, embeddings and messages, as JSON and as streams, the same request
    always with the same text and token counts (the rule is in `tokprof.testing.answers`). Any model name will do.

    Parameters
    ----------
    latency : float
        Seconds before the first byte of an answer.
    tokens_per_second : float, optional
        Speed at which output tokens are generated; without it they take no time.
    reply : str
        The text of answers that are not scripted.
    compress : bool
        Whether JSON answers are sent with gzip to clients that accept it.
    prefix_cache : bool
        Whether OpenAI's prompts are read from a cache as far as an earlier one began the same, from 1,024 tokens on;
        replies with token counts of their own excepted.
    respond : callable, optional
        Gives a `Reply` to a request that is not scripted, or None for the usual answer: ``Reasoner().respond``.

    Attributes
    ----------
    latency, tokens_per_second, compress, respond
        As above; they may be set at any time.
    text : str
        The parameter ``reply``; it may be set at any time.
    cache : PrefixCache or None
        The prompts so far, with ``prefix_cache``.

    Examples
    --------
    >>> with SimulatedProvider() as provider:
    ...     provider.reply(text="Paris", when="France", input_tokens=1200, cache_read_tokens=1000)
    ...     provider.fail(429, retry_after=0.01)
    ...     client = provider.anthropic()
    """

    def __init__(
        self,
        latency: float = 0.0,
        tokens_per_second: float | None = None,
        reply: str = "This is a simulated answer.",
        compress: bool = False,
        prefix_cache: bool = False,
        respond: Callable[[RecordedRequest], Reply | None] | None = None,
    ) -> None:
        if latency < 0:
            raise ValueError(f"latency is {latency}: give seconds, zero or more")
        if tokens_per_second is not None and tokens_per_second <= 0:
            raise ValueError(f"tokens_per_second is {tokens_per_second}: give more than zero, or None for no delay")
        if not isinstance(reply, str):
            raise ValueError("reply is the text of unscripted answers: give a str, and script others with .reply()")
        self.latency = latency
        self.tokens_per_second = tokens_per_second
        self.text = reply
        self.compress = compress
        self.respond = respond
        self.cache = PrefixCache() if prefix_cache else None
        self._lock = threading.RLock()
        self._script: list[tuple[Reply, int | None]] = []
        self._requests: list[RecordedRequest] = []
        self._truth: list[dict[str, Any]] = []
        self._count = 0
        self._server: Server | None = None
        self._stopping = threading.Event()

    def start(self) -> Self:
        """Start to serve on a free port of 127.0.0.1, unless it does already; return the provider itself."""
        with self._lock:
            if self._server is None:
                self._stopping = threading.Event()
                self._server = Server(self)
                arguments = {"poll_interval": 0.02}
                name = "tokprof-simulated-provider"
                threading.Thread(target=self._server.serve_forever, kwargs=arguments, name=name, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop to serve, and close all connections; requests, truth and script stay."""
        with self._lock:
            server, self._server = self._server, None
            self._stopping.set()
        if server is not None:
            server.shutdown()
            server.server_close()

    close = stop

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the server, as ``http://127.0.0.1:port``."""
        if self._server is None:
            raise RuntimeError(
                "the simulated provider is not running: use `with SimulatedProvider() as ...` or start()"
            )
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def openai_url(self) -> str:
        """The ``base_url`` of OpenAI clients."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The ``base_url`` of Anthropic clients."""
        return self.url

    def openai(self, **settings: Any) -> "OpenAI":
        """Return an OpenAI client of this provider; the keywords are those of ``openai.OpenAI``."""
        try:
            from openai import OpenAI
        except ImportError as problem:
            raise _missing("openai") from problem
        return OpenAI(**{"base_url": self.openai_url, "api_key": "simulated", **settings})

    def async_openai(self, **settings: Any) -> "AsyncOpenAI":
        """Return an asynchronous OpenAI client of this provider; the keywords are those of ``openai.AsyncOpenAI``."""
        try:
            from openai import AsyncOpenAI
        except ImportError as problem:
            raise _missing("openai") from problem
        return AsyncOpenAI(**{"base_url": self.openai_url, "api_key": "simulated", **settings})

    def anthropic(self, **settings: Any) -> "Anthropic":
        """Return an Anthropic client of this provider; the keywords are those of ``anthropic.Anthropic``."""
        try:
            from anthropic import Anthropic
        except ImportError as problem:
            raise _missing("anthropic") from problem
        return Anthropic(**{"base_url": self.anthropic_url, "api_key": "simulated", **settings})

    def async_anthropic(self, **settings: Any) -> "AsyncAnthropic":
        """Return an asynchronous Anthropic client; the keywords are those of ``anthropic.AsyncAnthropic``."""
        try:
            from anthropic import AsyncAnthropic
        except ImportError as problem:
            raise _missing("anthropic") from problem
        return AsyncAnthropic(**{"base_url": self.anthropic_url, "api_key": "simulated", **settings})

    def reply(
        self,
        text: str | None = None,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        reasoning_tokens: int = 0,
        tool_calls: Sequence[tuple[str, dict[str, Any]]] = (),
        finish_reason: str | None = None,
        latency: float | None = None,
        chunks: int | None = None,
        status: int = 200,
        retry_after: float | None = None,
        drop: Literal["before", "mid"] | None = None,
        when: When = None,
        times: int | None = 1,
    ) -> None:
        """
        Queue a scripted answer: each request is given the first of the queue that fits it, else the usual text.

        The parameters are those of `Reply`; counts are tokens with cache and reasoning included, times are seconds.
        A reply with a text never answers embeddings, and one with tool calls only requests that declare tools.
        """
        scripted = Reply(
            text=text,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
            cache_write_1h_tokens=cache_write_1h_tokens,
            reasoning_tokens=reasoning_tokens,
            tool_calls=tool_calls,
            finish_reason=finish_reason,
            latency=latency,
            chunks=chunks,
            status=status,
            retry_after=retry_after,
            drop=drop,
            when=when,
            times=times,
        )
        self.queue(scripted)

    def queue(self, reply: Reply) -> None:
        """Put a `Reply` at the end of the script."""
        with self._lock:
            self._script.append((reply, reply.times))

    def fail(
        self,
        status: int = 500,
        *,
        retry_after: float | None = None,
        message: str | None = None,
        latency: float | None = None,
        when: When = None,
        times: int | None = 1,
    ) -> None:
        """Queue an error of some HTTP status from 400 on, to be tried again after ``retry_after`` seconds."""
        if status < 400:
            raise ValueError(f"status is {status}: a failure has 400 or more, use reply() for others")
        scripted = Reply(status=status, text=message, retry_after=retry_after, latency=latency, when=when, times=times)
        self.queue(scripted)

    def drop(
        self, *, mid: bool = False, latency: float | None = None, when: When = None, times: int | None = 1
    ) -> None:
        """Queue a connection closed before the answer or, with ``mid``, in the middle of it."""
        self.queue(Reply(drop="mid" if mid else "before", latency=latency, when=when, times=times))

    def raw(
        self,
        body: bytes,
        content_type: str = "application/json",
        content_encoding: str | None = None,
        *,
        status: int = 200,
        chunks: int | None = None,
        latency: float | None = None,
        drop: Literal["mid"] | None = None,
        when: When = None,
        times: int | None = 1,
    ) -> None:
        """
        Queue an answer of arbitrary bytes, sent as they are; it has no entry in ``truth``.

        Parameters
        ----------
        body : bytes
            The body; if ``content_encoding`` is given, already encoded.
        content_type, content_encoding : str, optional
            Headers of the answer.
        chunks : int, optional
            Send it chunked, in so many pieces; without it the answer has a content-length.
        status, latency, drop, when, times
            As in `reply`.
        """
        scripted = Reply(
            body=body,
            content_type=content_type,
            content_encoding=content_encoding,
            status=status,
            chunks=chunks,
            latency=latency,
            drop=drop,
            when=when,
            times=times,
        )
        self.queue(scripted)

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far, in the order they arrived."""
        with self._lock:
            return list(self._requests)

    @property
    def truth(self) -> list[dict[str, Any]]:
        """
        The canonical usage of the answers given so far, in the order they began.

        Failures, dropped connections and raw answers have none; a stream the client left counts in full.
        """
        with self._lock:
            return [dict(usage) for usage in self._truth]

    @property
    def pending(self) -> list[Reply]:
        """The scripted answers that are still to be given."""
        with self._lock:
            return [reply for reply, _ in self._script]

    def clear(self) -> None:
        """Forget requests, truth, script and the prompts in the cache."""
        if self.cache is not None:
            self.cache.clear()
        with self._lock:
            self._requests.clear()
            self._truth.clear()
            self._script.clear()

    def record(self, request: RecordedRequest) -> int:
        """Keep a request, and return its running number; the server calls this."""
        with self._lock:
            self._requests.append(request)
            self._count += 1
            return self._count

    def choose(self, request: RecordedRequest) -> Reply:
        """Return the reply to give, and count it as given; the server calls this."""
        with self._lock:
            for at, (reply, left) in enumerate(self._script):
                if reply.fits(request):
                    if left == 1:
                        del self._script[at]
                    elif left is not None:
                        self._script[at] = (reply, left - 1)
                    return reply
        return (self.respond and self.respond(request)) or Reply()

    def tell(self, request: RecordedRequest, truth: dict[str, Any]) -> None:
        """Keep the usage of an answer that begins now; the server calls this."""
        with self._lock:
            request.usage = truth
            self._truth.append(truth)

    def wait(self, seconds: float) -> None:
        """Wait, or raise ConnectionAbortedError if the provider stops meanwhile; the server calls this."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulated provider stops")


def _missing(package: str) -> ImportError:
    return ImportError(f"the {package} SDK is not installed: run `pip install {package}`, or use the provider's url")
