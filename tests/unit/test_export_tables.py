"""CSV, JSON lines and Parquet as others read them; what `save` writes by its suffix; what is never in a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow.parquet
import pytest

import tokprof
from tests.unit.export_scenes import agent, hostile
from tokprof.export.methods import SUFFIXES
from tokprof.export.texts import valid
from tokprof.table import SCHEMA
from tokprof.testing import SimulatedProvider

PLAIN = [name for name in SCHEMA if name not in ("stack", "tags", "start")]


@pytest.fixture(params=[agent, hostile], ids=["agent", "hostile"])
def prof(request: pytest.FixtureRequest, clock: Any, frames: Any) -> tokprof.Profile:
    made: tokprof.Profile = request.param(clock, frames)
    return made


def readable(prof: tokprof.Profile) -> pd.DataFrame:
    """What a reader gets at best: texts with U+FFFD for what cannot be encoded."""
    return prof.df.map(lambda value: valid(value) if isinstance(value, str) else value)


def equal(found: Any, expected: Any) -> bool:
    if expected is None or expected is pd.NA or expected != expected:
        return bool(pd.isna(found))
    return bool(found == expected)


def test_csv_is_read_by_pandas_and_by_csv(prof: tokprof.Profile) -> None:
    text = prof.to_csv()
    texts = {name: str for name, dtype in SCHEMA.items() if dtype == "object"}
    frame = pd.read_csv(io.StringIO(text), dtype=texts, keep_default_na=False, na_values={}, parse_dates=["start"])
    expected = readable(prof)
    assert list(frame) == list(SCHEMA)
    assert frame.start.tolist() == expected.start.tolist()
    for name in texts.keys() - {"stack", "tags"}:
        assert frame[name].tolist() == [valid(value or "") for value in prof.df[name]]
    numbers = pd.read_csv(io.StringIO(text), float_precision="round_trip")
    assert numbers.total_tokens.sum() == prof.totals.total_tokens
    assert numbers.cost.sum() == pytest.approx(prof.df.cost.sum(), abs=0)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["span_id"] for row in rows] == prof.df.span_id.tolist()
    assert [json.loads(row["tags"]) for row in rows if row["tags"]] == [
        {key: valid(value) for key, value in tags.items()} for tags in prof.df.tags if tags
    ]


def test_jsonl_is_read_by_pandas(prof: tokprof.Profile) -> None:
    text = prof.to_jsonl()
    assert len(text.splitlines()) == len(prof.df)
    frame = pd.read_json(io.StringIO(text), lines=True, dtype=False, precise_float=True)
    expected = readable(prof)
    assert set(frame) == {*SCHEMA, "tokprof", "_tokprof"}
    for name in PLAIN:
        assert all(map(equal, frame[name], expected[name])), name
    assert pd.to_datetime(frame.start).tolist() == expected.start.tolist()
    assert json.loads(text.splitlines()[0])["tokprof"]["format"] == 1


def test_parquet_is_read_by_pandas_and_arrow(prof: tokprof.Profile) -> None:
    data = prof.to_parquet()
    frame = pd.read_parquet(io.BytesIO(data))
    expected = readable(prof)
    for name in (*PLAIN, "start"):
        assert all(map(equal, frame[name], expected[name])), name
    assert str(frame.start.dtype) == "datetime64[ns, UTC]"
    assert str(frame.input_tokens.dtype) == "Int64"
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    assert table.schema.names == [*SCHEMA, "_tokprof"]
    assert [dict(tags) for tags in table["tags"].to_pylist()] == [
        {key: valid(value) for key, value in tags.items()} for tags in prof.df.tags
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_save_writes_by_suffix_what_the_method_gives(clock: Any, frames: Any, tmp_path: Path, suffix: str) -> None:
    prof = agent(clock, frames)
    path = prof.save(tmp_path / f"my.run{suffix.upper()}")
    given = getattr(prof, SUFFIXES[suffix])()
    assert path.read_bytes() == (given if isinstance(given, bytes) else given.encode())


def test_save_names_the_formats_that_there_are(clock: Any, frames: Any, tmp_path: Path) -> None:
    prof = agent(clock, frames)
    with pytest.raises(ValueError, match=r"'a.json' has no suffix .* a .json alone may be many things; known: .jsonl"):
        prof.save(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"'a.xlsx' has no suffix of a known format; known: .jsonl, .parquet"):
        prof.save(tmp_path / "a.xlsx")
    with pytest.raises(ValueError, match=r".html has no place for prompts and answers; .jsonl, .parquet, .csv"):
        prof.save(tmp_path / "a.html", content=True)
    assert list(tmp_path.iterdir()) == []


def test_prompts_answers_and_keys_are_in_no_file_unless_told(provider: SimulatedProvider, tmp_path: Path) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "my-secret-question"}]}
    with tokprof.profile("run", capture="full") as prof:
        url = f"{provider.url}/v1/chat/completions?key=url-key"
        answer = httpx.post(url, json=body, headers={"authorization": "Bearer sk-hush"}).json()
    said = answer["choices"][0]["message"]["content"][:20]
    for method in sorted({*SUFFIXES.values()}):
        given = getattr(prof, method)()
        text = given.decode("latin-1") if isinstance(given, bytes) else given
        assert not any(secret in text for secret in ("my-secret-question", "sk-hush", "url-key", said)), method
    for method in ("to_jsonl", "to_csv", "to_chrome_trace", "to_otlp"):
        text = getattr(prof, method)(content=True)
        assert "my-secret-question" in text, method
        assert said in text
        assert "sk-hush" not in text
    assert (
        "my-secret-question"
        in tokprof.load(prof.save(tmp_path / "a.parquet", content=True)).table.spans[1].content["prompt"]
    )


@pytest.mark.parametrize("method", sorted({*SUFFIXES.values()}))
def test_profiles_without_calls_and_without_spans(method: str) -> None:
    with tokprof.profile("none") as none:
        pass
    for prof in (none, tokprof.profile("never")):
        assert getattr(prof, method)() or method == "to_collapsed"
