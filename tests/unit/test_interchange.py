"""A profile in other libraries: Arrow, polars, DuckDB and narwhals read it itself; files by each of their readers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import narwhals
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest

import tokprof
from tests.unit.export_scenes import agent, hostile
from tests.unit.scenes import call
from tokprof.export.texts import valid
from tokprof.table import SCHEMA

START = datetime(2026, 1, 1, tzinfo=UTC)
FIGURES = [name for name, dtype in SCHEMA.items() if dtype in ("Int64", "float64", "boolean")]
TEXTS = [name for name, dtype in SCHEMA.items() if dtype == "object" and name not in ("stack", "tags")]


@pytest.fixture(params=[agent, hostile], ids=["agent", "hostile"])
def prof(request: pytest.FixtureRequest, clock: Any, frames: Any) -> tokprof.Profile:
    made: tokprof.Profile = request.param(clock, frames)
    return made


def expected(prof: tokprof.Profile, name: str) -> list[Any]:
    """A column of `df` as plain values; texts with U+FFFD for what cannot be encoded."""
    values = prof.df[name].tolist()
    return [None if pd.isna(each) else valid(each) if isinstance(each, str) else each for each in values]


def same(found: list[Any], prof: tokprof.Profile, name: str) -> bool:
    return [None if each != each else each for each in found] == expected(prof, name)


# --- the profile itself --------------------------------------------------------------------------


def test_arrow_has_the_columns_of_df_with_their_types(prof: tokprof.Profile) -> None:
    table = prof.to_arrow()
    assert table.schema.names == list(SCHEMA)
    kinds = {"Int64": pa.int64(), "float64": pa.float64(), "boolean": pa.bool_(), "object": pa.string()}
    for name in (*FIGURES, *TEXTS):
        assert table.schema.field(name).type == kinds[SCHEMA[name]], name
        assert same(table[name].to_pylist(), prof, name), name
    assert table.schema.field("start").type == pa.timestamp("ns", "UTC")
    assert table["start"].to_pandas().tolist() == prof.df.start.tolist()
    assert table["stack"].to_pylist() == [[valid(str(frame)) for frame in stack] for stack in prof.df["stack"]]
    tags = [{key: valid(value) for key, value in tags.items()} for tags in prof.df.tags]
    assert [dict(each) for each in table["tags"].to_pylist()] == tags
    table.validate(full=True)


def test_polars_knows_numbers_times_and_what_is_unknown(prof: tokprof.Profile) -> None:
    frame = prof.to_polars()
    assert frame.columns == list(SCHEMA)
    assert frame.schema["start"] == pl.Datetime("ns", "UTC")
    assert frame.schema["input_tokens"] == pl.Int64 and frame.schema["late"] == pl.Boolean
    assert frame.schema["stack"] == pl.List(pl.String)
    for name in (*FIGURES, *TEXTS):
        assert same(frame[name].to_list(), prof, name), name
    assert frame["total_tokens"].sum() == prof.totals.total_tokens
    assert frame["start"][0] == START


def test_arrow_is_asked_for_by_the_capsule(prof: tokprof.Profile) -> None:
    polars.testing.assert_frame_equal(pl.DataFrame(prof), prof.to_polars())
    assert pa.table(prof).equals(prof.to_arrow())
    assert pa.RecordBatchReader.from_stream(prof).read_all().equals(prof.to_arrow())
    assert narwhals.from_arrow(prof, backend="polars").shape == prof.df.shape
    assert narwhals.from_native(prof.df).shape == prof.df.shape


def test_duckdb_reads_the_profile_by_its_name(prof: tokprof.Profile) -> None:
    rows = duckdb.sql("select model, sum(total_tokens) as tokens from prof where model is not null group by model")
    assert dict(rows.fetchall()) == {
        valid(model): None if pd.isna(tokens) else tokens for model, tokens in prof.by("model")["total_tokens"].items()
    }
    made = duckdb.sql("from prof")
    types = dict(zip(made.columns, map(str, made.types), strict=True))
    assert types["start"].startswith("TIMESTAMP") and ("TZ" in types["start"] or "TIME ZONE" in types["start"])
    assert (types["stack"], types["tags"]) == ("VARCHAR[]", "MAP(VARCHAR, VARCHAR)")
    assert [name for name in FIGURES if types[name] not in ("BIGINT", "DOUBLE", "BOOLEAN")] == []


def test_duckdb_reads_df_by_its_name(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    df = prof.df
    assert duckdb.sql("from df").columns == list(SCHEMA)
    [found] = duckdb.sql("select sum(total_tokens), sum(cost), count(*) from df").fetchall()
    assert found == (prof.totals.total_tokens, pytest.approx(prof.totals.cost), len(df))
    assert duckdb.sql("select tags from df").fetchall()[1] == ({"team": "a"},)


def test_tags_are_asked_for_by_their_names(clock: Any, frames: Callable[..., None]) -> None:
    prof = agent(clock, frames)
    assert duckdb.sql("select count(*) from prof where tags['user'] = 'u1'").fetchall() == [(4,)]
    assert len(prof.df) == 6


def test_a_running_profile_and_an_empty_one_have_the_same_schema(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    never = tokprof.profile("never")
    with tokprof.profile("now") as now:
        call(clock, 1, input_tokens=10, output_tokens=1)
        assert pa.table(now).num_rows == 2
        assert pa.table(now).schema.equals(pa.table(never).schema)
    assert pa.table(never).num_rows == pl.DataFrame(never).height == 0
    assert pa.table(never)["tags"].type == pa.map_(pa.string(), pa.string())


@pytest.mark.parametrize(
    ("blocked", "asked", "said"),
    [
        ("pyarrow", "prof.to_arrow()", "to_arrow needs pyarrow: pip install pyarrow"),
        ("polars", "prof.to_polars()", "to_polars needs polars: pip install polars"),
        ("pyarrow", "prof.to_polars()", "to_polars needs pyarrow: pip install pyarrow"),
        ("pyarrow", "prof.__arrow_c_stream__()", "reading a profile as Arrow needs pyarrow: pip install pyarrow"),
    ],
)
def test_without_the_library_it_says_what_to_install(blocked: str, asked: str, said: str) -> None:
    script = f"""
import sys
sys.modules[{blocked!r}] = None
import tokprof
prof = tokprof.profile("never")
assert len(prof.df) == 0
try: {asked}
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == said, done.stderr


# --- its files -----------------------------------------------------------------------------------


def test_parquet_by_pyarrow_polars_and_duckdb(prof: tokprof.Profile, tmp_path: Path) -> None:
    path = str(prof.save(tmp_path / "run.parquet"))
    arrow = pyarrow.parquet.read_table(path)
    assert (
        arrow.drop_columns(["_tokprof"])
        .replace_schema_metadata(None)
        .equals(prof.to_arrow().replace_schema_metadata(None))
    )
    frame = pl.read_parquet(path)
    polars.testing.assert_frame_equal(frame.drop("_tokprof"), prof.to_polars())
    rows = duckdb.sql(f"from '{path}'")
    assert rows.columns == [*SCHEMA, "_tokprof"]
    found = rows.to_arrow_table()
    for name in (*FIGURES, *TEXTS):
        assert same(found[name].to_pylist(), prof, name), name
    assert found["start"].cast(pa.timestamp("us", "UTC")).to_pylist()[0] == START


def test_jsonl_by_pyarrow_polars_and_duckdb(prof: tokprof.Profile, tmp_path: Path) -> None:
    path = str(prof.save(tmp_path / "run.jsonl"))
    options = pyarrow.json.ReadOptions(block_size=1 << 22)
    for table in (
        pyarrow.json.read_json(path, read_options=options),
        pl.read_ndjson(path, infer_schema_length=None).to_arrow(),
        duckdb.sql(f"from read_json('{path}', sample_size=-1)").to_arrow_table(),
    ):
        for name in (*FIGURES, *TEXTS):
            assert same(table[name].to_pylist(), prof, name), name
        starts = table["start"].to_pylist()
        assert {str(each)[:10] for each in starts} == {"2026-01-01"} and len(starts) == len(prof.df)


def test_csv_by_pyarrow_polars_and_duckdb(prof: tokprof.Profile, tmp_path: Path) -> None:
    path = str(prof.save(tmp_path / "run.csv"))
    tables = {
        "pyarrow": pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=1 << 22),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        ),
        "polars": pl.read_csv(path, infer_schema_length=None, try_parse_dates=True).to_arrow(),
        "duckdb": duckdb.sql(
            f"from read_csv('{path}', sample_size=-1, header=true, max_line_size=4000000)"
        ).to_arrow_table(),
    }
    for reader, table in tables.items():
        assert table.column_names == list(SCHEMA), reader
        for name in FIGURES:
            assert same(table[name].to_pylist(), prof, name), (reader, name)
        for name in ("span_id", "kind", "status"):
            assert same(table[name].to_pylist(), prof, name), (reader, name)
        names = [None if name == "" else name for name in table["name"].to_pylist()]
        assert names == [name or None for name in expected(prof, "name")], reader
        starts = table["start"].cast(pa.timestamp("us", "UTC")).to_pylist()
        assert starts == [each.to_pydatetime(warn=False) for each in prof.df.start], reader
