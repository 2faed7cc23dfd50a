"""Charts over time: what a notebook gets, what a saved file keeps, and what a terminal shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import altair
import pytest

import tokprof
from tokprof.span import METRICS

from .scenes import agent, call
from .test_static import HOSTILE

VEGA_LITE = "application/vnd.vegalite.v5+json"


@pytest.fixture
def prof(clock: Any, frames: Callable[..., None]) -> tokprof.Profile:
    return agent(clock, frames)


def values(spec: dict[str, Any], layer: int | None = None) -> list[dict[str, Any]]:
    """Data of a chart, wherever Altair has put it."""
    part = spec if layer is None else spec["layer"][layer]
    data = part.get("data") or spec["data"]
    found = data.get("values") or spec["datasets"][data["name"]]
    return list(found)


def test_what_a_timeline_shows(prof: tokprof.Profile) -> None:
    bundle = prof.timeline("1s")._repr_mimebundle_()
    assert bundle.keys() == {VEGA_LITE, "image/svg+xml", "text/plain"}
    spec = bundle[VEGA_LITE]
    assert spec["$schema"].endswith("vega-lite/v5.json")
    rates = values(spec, 0)
    assert {row["model"] for row in rates} == {"gpt-4o-mini", "mystery"}
    assert max(row["rate"] for row in rates) == pytest.approx(400_000, rel=1e-3)
    assert max(row["calls"] for row in values(spec, 1)) == pytest.approx(1)
    assert "did not tell all of its tokens" in json.dumps(spec["title"])


def test_rates_are_per_second_whatever_the_window(prof: tokprof.Profile) -> None:
    for window, peak in (("2s", 200_000), ("10s", 40_120)):
        spec = prof.timeline(window)._repr_mimebundle_()[VEGA_LITE]
        assert max(row["rate"] for row in values(spec, 0)) == pytest.approx(peak, rel=0.01)


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric(prof: tokprof.Profile, metric: str) -> None:
    for chart in (prof.timeline(metric=metric), prof.heatmap(metric=metric)):
        bundle = chart._repr_mimebundle_()
        ElementTree.fromstring(bundle["image/svg+xml"])
        assert VEGA_LITE in bundle and bundle["text/plain"].startswith("tokprof In[3]: ")
    assert "calls in flight" in repr(prof.timeline(metric="time"))
    with pytest.raises(ValueError, match="'money' is no metric; known: tokens, "):
        prof.timeline(metric="money")
    with pytest.raises(ValueError, match="'money' is no metric; known: tokens, "):
        prof.heatmap(metric="money")


def test_a_heatmap_has_a_row_for_each_group_and_sums_up(prof: tokprof.Profile) -> None:
    cells = values(prof.heatmap("function")._repr_mimebundle_()[VEGA_LITE])
    sums: dict[str, float] = {}
    for cell in cells:
        sums[cell["row"]] = sums.get(cell["row"], 0) + cell["amount"]
    assert sums == pytest.approx({"search": 400_000, "plan": 1100}, rel=1e-4)  # six figures of each
    text = repr(prof.heatmap("function"))
    assert re.search(r"search +.*█.* +400,000", text)
    assert "a.b" not in text
    with pytest.raises(ValueError, match="'modle' is no column to group by"):
        prof.heatmap("modle")


def test_the_chart_of_altair_is_there_to_be_changed(prof: tokprof.Profile) -> None:
    changed = prof.timeline().chart.properties(width=300)
    assert changed.to_dict()["width"] == 300
    assert isinstance(prof.heatmap().chart, altair.Chart)


def test_the_users_renderer_and_transformer_are_left_alone(prof: tokprof.Profile) -> None:
    with altair.data_transformers.enable("json"):
        before = altair.renderers.active
        bundle = prof.timeline()._repr_mimebundle_()
        assert altair.renderers.active == before
        assert values(bundle[VEGA_LITE], 0)  # inside, not in a file


def test_the_still_picture_is_plain_svg(prof: tokprof.Profile) -> None:
    for picture in (prof.timeline("1s").svg, prof.heatmap().svg):
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(picture).iter()}
        assert tags <= {"svg", "g", "title", "rect", "text", "path", "polygon", "polyline"}
        assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "mystery" in prof.timeline().svg and "calls in flight" in prof.timeline().svg
    assert "search" in prof.heatmap().svg


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names(text: str, clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile(text or "p", who=text) as prof:
        call(clock, 1, text or "m", input_tokens=10, output_tokens=1)
    for chart in (prof.timeline(), prof.heatmap("model"), prof.heatmap("tag:who")):
        bundle = chart._repr_mimebundle_()
        ElementTree.fromstring(bundle["image/svg+xml"])
        json.dumps(bundle).encode()
        assert len(json.dumps(bundle)) < 300_000
        assert not re.search(
            "[\x00-\x08\x0b-\x1f\x7f\u202e\u2066\ud800]", bundle["image/svg+xml"] + bundle["text/plain"]
        )


def test_many_models_and_a_long_time_are_bounded(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile() as prof:
        for at in range(2000):
            frames(f"file.py:{at} function_{at % 90}")
            call(clock, 7, f"model-{at % 50}", input_tokens=10 + at % 50, output_tokens=1)
    chart = prof.timeline("1s")
    spec = chart._repr_mimebundle_()[VEGA_LITE]
    rates = values(spec, 0)
    assert len({row["end"] for row in rates}) <= 200
    assert len({row["model"] for row in rates}) == 8
    assert "(others)" in {row["model"] for row in rates}
    assert "over 1 min 10 s" in repr(chart)  # 200 windows for 14,000 s
    assert sum(row["rate"] for row in rates) * 70 == pytest.approx(prof.totals.total_tokens, rel=0.01)
    assert len(json.dumps(prof.heatmap()._repr_mimebundle_())) < 600_000
    assert len({row["row"] for row in values(prof.heatmap()._repr_mimebundle_()[VEGA_LITE])}) == 24


def test_a_profile_without_calls(clock: Any, frames: Callable[..., None]) -> None:
    frames()
    with tokprof.profile("empty") as prof:
        pass
    for chart in (prof.timeline(), prof.heatmap()):
        ElementTree.fromstring(chart._repr_mimebundle_()["image/svg+xml"])
        assert repr(chart).startswith("tokprof empty: ")


def test_altair_is_imported_for_a_chart_that_is_shown_and_not_before() -> None:
    code = (
        "import sys, tokprof\n"
        "with tokprof.profile() as prof: pass\n"
        "chart = prof.timeline(); repr(chart)\n"
        "assert 'altair' not in sys.modules\n"
        "chart._repr_mimebundle_()\n"
        "assert 'altair' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_chart_offers_to_send_its_data_to_a_site(prof: tokprof.Profile) -> None:
    for chart in (prof.timeline(), prof.heatmap()):
        actions = chart._repr_mimebundle_()[VEGA_LITE]["usermeta"]["embedOptions"]["actions"]
        assert actions == {"export": True, "source": False, "compiled": False, "editor": False}


def test_a_heatmap_of_nothing_says_so(clock: Any, frames: Callable[..., None]) -> None:
    with tokprof.profile("In[1]") as quiet:
        clock.advance(0.25)
    chart = quiet.heatmap()
    assert str(chart) == "tokprof In[1]: no model calls\n250 ms"
    assert "0 ms each" not in chart.svg
