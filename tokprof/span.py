"""The vocabulary: what a span is, which kinds there are, and how tokens are counted.

Canonical rule of usage: input includes cache reads and cache writes, output includes reasoning
(as in the OpenTelemetry GenAI conventions). ``None`` is "not known", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

Kind = Literal[
    "cell",
    "profile",
    "agent",
    "workflow",
    "task",
    "tool",
    "retriever",
    "embedding",
    "reranker",
    "guardrail",
    "evaluator",
    "prompt",
    "chain",
    "llm",
]
Status = Literal["ok", "error", "cancelled", "partial", "open"]
Source = Literal["cached", "reported", "derived", "estimated", "partial", "missing"]  # the surest first
CostSource = Literal["reported", "priced", "custom", "cached", "missing"]
Capture = Literal["none", "preview", "full"]

KINDS: tuple[str, ...] = get_args(Kind)
OPERATIONS: dict[str, Kind] = {
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "workflow",
    "execute_tool": "tool",
    "retrieval": "retriever",
    "embeddings": "embedding",
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "plan": "task",
}
"""Kinds by the operation names of the OpenTelemetry GenAI conventions."""
STATUSES: tuple[str, ...] = get_args(Status)
SOURCES: tuple[str, ...] = get_args(Source)
CAPTURES: tuple[str, ...] = get_args(Capture)
METRICS = ("tokens", "input", "output", "cached", "reasoning", "cost", "time")
VIEWS = ("auto", "flamegraph", "dag", "costs", "text", "none")
SNAPSHOTS = ("static", "interactive")

TOKEN_FIELDS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "output_audio_tokens",
    "output_image_tokens",
)


@dataclass(slots=True)
class Usage:
    """Tokens of one call, by kind.

    Attributes
    ----------
    input_tokens, output_tokens : int or None
        All that went in (cache reads and writes included) and all that came out (reasoning included).
    cache_read_tokens, cache_write_tokens, input_audio_tokens, input_image_tokens : int or None
        Parts of the input.
    reasoning_tokens, output_audio_tokens, output_image_tokens : int or None
        Parts of the output.
    cache_write_1h_tokens : int or None
        The part of the cache writes that lives for an hour; it has a price of its own.
    web_searches : int or None
        Searches that the provider made for the answer and bills by the piece; no tokens.
    total_tokens : int or None
        Input plus output; None where one of them is not known.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    web_searches: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input plus output."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    @staticmethod
    def sum(a: Usage | None, b: Usage | None) -> Usage | None:
        """Add tokens by kind; a kind that neither tells stays unknown."""
        if a is None or b is None:
            return a or b
        pairs = ((name, getattr(a, name), getattr(b, name)) for name in Usage.__slots__)
        return Usage(**{name: (x or 0) + (y or 0) for name, x, y in pairs if x is not None or y is not None})


class Frame(NamedTuple):
    """One Python function of the user's on the stack.

    Attributes
    ----------
    function : str
        Qualified name; ``<module>`` for the top level of a cell or file.
    file : str
        File name as the interpreter knows it; for a cell, the name that the kernel gave to its source.
    line : int
        Line that was running, from 1.
    cell : int or None
        Execution count of the cell that holds the line; None for a file.
    """

    function: str
    file: str
    line: int
    cell: int | None

    @property
    def where(self) -> str:
        """``In[7]:12`` for a cell, ``agent.py:12`` for a file."""
        if self.cell is not None:
            return f"In[{self.cell}]:{self.line}"
        return f"{self.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.line}"

    def __repr__(self) -> str:
        return f"{self.function} ({self.where})"


class Stack(tuple[Frame, ...]):
    """Frames of the user's, outermost first.

    Attributes
    ----------
    folded : tuple of int
        How many frames of libraries stood between each frame and the next one inside it; after the last one, between
        it and the call.
    """

    folded: tuple[int, ...] = ()


NO_FRAMES = Stack()


@dataclass(slots=True)
class Exchange:
    """One HTTP request and its answer, as they crossed the wire.

    Attributes
    ----------
    method, host, path : str
        Of the request; `host` with the port where it is not the default one, `path` without the query.
    request : bytes or None
        Body as sent; None where it could not be read (a stream, a file).
    request_type : str
        Content type of the request, lower case.
    http_status : int or None
        None while no answer has come.
    content_type, content_encoding : str
        Of the answer, lower case.
    headers : dict of str to str
        The few headers of the answer that tell usage, cost or tier, lower case names.
    chunks : list of bytes
        The body as on the wire, still encoded as `content_encoding` says.
    complete : bool
        Whether the body was read to its end.
    cached : bool
        Whether the client's own cache answered, and nothing was sent.
    """

    method: str
    host: str
    path: str
    request: bytes | None
    request_type: str = ""
    http_status: int | None = None
    content_type: str = ""
    content_encoding: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False
    cached: bool = False


class Answer(NamedTuple):
    """An answer that was recorded whole, as a cache keeps it.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : tuple of pairs of str
        The few that change nothing and tell of nobody; names in lower case.
    chunks : tuple of bytes
        The body in the pieces in which it came, content encoding undone.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes that it takes, in about."""
        return 256 + sum(map(len, self.chunks)) + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(slots=True)
class Draft:
    """What an estimate is made from. It holds prompts and answers, and is dropped as soon as the estimate is made.

    Attributes
    ----------
    operation, kind : str
        As in `Reading`.
    model : str or None
        Which answered, or was asked for.
    request : bytes or None
        Body as sent.
    body : bytes
        Of the answer, content encoding undone, as far as it came.
    frame : str
        How `body` is framed: ``json``, ``sse``, ``ndjson`` or ``eventstream``.
    complete : bool
        Whether the answer came to its end.
    usage : Usage
        What was told, if anything: a lower bound.
    """

    operation: str
    kind: str
    model: str | None
    request: bytes | None
    body: bytes
    frame: str
    complete: bool
    usage: Usage


@dataclass(slots=True)
class Reading:
    """What an exchange tells of a model call.

    Attributes
    ----------
    operation : str
        ``chat``, ``completions``, ``responses``, ``messages``, ``embeddings``, ``generate_content``, ``rerank``, ...
    kind : str
        ``llm``, ``embedding`` or ``reranker``.
    provider : str or None
        By the names of the OpenTelemetry conventions; None for a host that is not known.
    model, request_model : str or None
        Model that answered, and model that was asked for.
    stream : bool
        Whether the answer came as a stream of events.
    finish_reason : str or None
        As the provider says it.
    usage : Usage
    source : str
        Provenance of `usage`: ``reported``, ``derived``, ``partial`` (a lower bound), ``missing``, or ``cached`` where
        a cache answered and no model ran: then it is 0.
    usage_raw : str or None
        The provider's own usage object, as JSON.
    cost : float or None
        USD, where the provider told it, or where it is known without a price list.
    cost_source : str
        Provenance of `cost`: ``reported``, or ``cached`` where a cache answered and nothing was billed.
    service_tier : str or None
        As the provider says it: ``default``, ``flex``, ``priority``, ``batch``, ...; it has prices of its own.
    error : str or None
        What the provider said went wrong, in short.
    first_token_at : int or None
        Index into the exchange's chunks of the one that carries the first generated token of a stream.
    draft : Draft or None
        Where the usage is not told, or a lower bound: what it can be estimated from.
    more : list of Reading
        Runs of a model that were billed beside the one that answers: Anthropic's compactions and advisors.
    saved : Usage or None
        Where a cache answered: what a model would have used, as the answer tells.
    saved_cost : float or None
        USD that it would have cost, where the provider told it.
    """

    operation: str
    kind: str
    provider: str | None = None
    model: str | None = None
    request_model: str | None = None
    stream: bool = False
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    source: str = "missing"
    usage_raw: str | None = None
    cost: float | None = None
    cost_source: str = "reported"
    service_tier: str | None = None
    error: str | None = None
    first_token_at: int | None = None
    draft: Draft | None = None
    more: list[Reading] = field(default_factory=list)
    saved: Usage | None = None
    saved_cost: float | None = None

    def spare(self) -> None:
        """Take what was used and paid for what a cache saved."""
        self.saved, self.usage, self.source = self.usage, Usage(input_tokens=0, output_tokens=0), "cached"
        self.saved_cost, self.cost, self.cost_source = self.cost, 0.0, "cached"


class Pinned(NamedTuple):
    """What a call cost when its profile was saved; it holds as long as the call is what it was.

    Attributes
    ----------
    call : tuple
        All that a price depends on, as it was.
    parts : tuple of 5 floats
        USD, as in `tokprof.meter.prices.Price`.
    source : str
    """

    call: tuple[object, ...]
    parts: tuple[float, float, float, float, float]
    source: str

    @classmethod
    def of(cls, span: Span, parts: tuple[float, float, float, float, float], source: str) -> Pinned:
        """Pin the cost of a call."""
        return cls(_priced(span), parts, source)

    def holds(self, span: Span) -> bool:
        """Whether a call is still the one that this was the cost of."""
        return self.call == _priced(span)


def _priced(span: Span) -> tuple[object, ...]:
    model = (span.model, span.request_model, span.provider, span.host, span.service_tier)
    return (*model, span.usage, span.cost, span.cost_source)


class Origin(NamedTuple):
    """Where the spans of a recording come from.

    Attributes
    ----------
    trace_id : int
        Of OpenTelemetry; the parts of a trace in several processes have the same.
    session : str or None
        Of the process that recorded them: for a notebook, of its kernel since it was started. None: not known.
    """

    trace_id: int
    session: str | None


@dataclass(slots=True, eq=False)
class Span:
    """One timed step: a model call, or a named step around it.

    Times are integers in nanoseconds: `start` since the Unix epoch, `opened` and `closed` on the monotonic clock.
    The columns of ``Profile.df`` document the other fields.
    """

    id: int
    parent: Span | None
    name: str
    kind: str
    start: int
    opened: int
    closed: int | None = None
    status: str = "open"
    error: str | None = None
    first_token: int | None = None
    late: bool = False
    unkept: int = 0
    kept: bool = True
    sent: bool = True
    stack: Stack = NO_FRAMES
    thread: str = ""
    task: str | None = None
    provider: str | None = None
    operation: str | None = None
    model: str | None = None
    request_model: str | None = None
    host: str | None = None
    http_status: int | None = None
    attempt: int | None = None
    stream: bool | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    source: str | None = None
    tokenizer: str | None = None
    usage_raw: str | None = None
    service_tier: str | None = None
    draft: Draft | None = field(default=None, repr=False)  # it holds the prompt, which no log must show
    cost: float | None = None
    cost_source: str | None = None
    tags: dict[str, str] | None = None
    content: dict[str, str] | None = None
    pinned: Pinned | None = None
    saved: Usage | None = None
    saved_cost: float | None = None
    origin: Origin | None = None  # of the root of a recording

    @property
    def saved_tokens(self) -> int | None:
        """Tokens that a cache saved; of a kind that only takes them in, those."""
        saved = self.saved
        if saved is None:
            return None
        return saved.input_tokens if self.kind in ("embedding", "reranker") else saved.total_tokens

    @property
    def count(self) -> int:
        """Calls that the row stands for: more than one where rows were not kept."""
        return max(1, self.unkept)
