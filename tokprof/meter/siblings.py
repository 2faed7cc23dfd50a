"""Other models of the same maker in the price list: what one could have called instead.

Names of models are read as a family and a version: ``GPT-5.4 mini`` is version 5.4 of ``gpt mini``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokprof.meter.listed import PROVIDER_IDS, find

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

# models for something else than a chat in text, under review, or open to few
_OTHER = re.compile(
    r"audio|image|tts|live|realtime|transcri|whisper|vision|pixtral|voxtral|video|omni|search|research|embed|rerank|ocr"
    r"|moderat|guard|instruct|codex|computer|robot|cyber|preview|latest|free|extended|ft:|gpt-oss|gemma|banana"
    r"|\d{4}-\d\d-\d\d",
    re.IGNORECASE,
)
_WORD = re.compile(r"\d+(?:\.\d+)*b\b|\d+(?:\.\d+)*o?\b|[a-z]+|\d+")
_DATE = 1000  # and above: 2407, 20250929, no version

_MISTRAL = ("mistral", "ministral", "magistral")
_BRANDS = {"o": ("gpt", "o")} | dict.fromkeys(_MISTRAL, _MISTRAL)

Version = tuple[int, ...]


def siblings(model: str, provider: str | None, room: int = 0) -> list[str]:
    """Give models of the maker of another: those of the same version, and of each family that is kept up the newest.

    Parameters
    ----------
    model : str
        As a call told it.
    provider : str or None
        By the names of the OpenTelemetry conventions.
    room : int
        Tokens that must fit into the context, where the list tells its size.

    Returns
    -------
    list of str
        Ids in the list, in its order, without `model` itself; none for a model that is not listed.
    """
    found = find(model, None) or find(
        model, PROVIDER_IDS.get(provider or "", provider)
    )  # the maker, else who serves it
    if found is None:
        return []
    listed, mine = found[0].models, found[1]
    family, version = _read(mine)
    brands = _BRANDS.get(family.partition(" ")[0], (family.partition(" ")[0],))
    newest: dict[str, tuple[Version, str]] = {}
    latest: dict[str, int] = {}  # first number of the version, by brand
    chosen: set[str] = set()
    for each in listed:
        if each is mine or not _fits(each, room):
            continue
        family, its = _read(each)
        brand = family.partition(" ")[0]
        if brand not in brands:
            continue
        latest[brand] = max(latest.get(brand, 0), *its[:1], 0)
        if its == version:
            chosen.add(each.id)
        newest[family] = max(newest.get(family, ((), "")), (its, each.id))
    chosen.update(
        name for family, (its, name) in newest.items() if its and its[0] >= latest[family.partition(" ")[0]] - 1
    )
    return [each.id for each in listed if each.id in chosen]


def _fits(model: ModelInfo, room: int) -> bool:
    if model.deprecated or model.name is None or _OTHER.search(f"{model.id} {model.name}"):
        return False
    return model.context_window is None or model.context_window >= room


def _read(model: ModelInfo) -> tuple[str, Version]:
    """Family and version of a model, by its name."""
    words: list[str] = []
    version: Version = ()
    for word in _WORD.findall((model.name or model.id).lower()):
        if word[-1] == "b" or word[0].isalpha():
            words.append(word)
        elif not version and int(word.partition(".")[0].rstrip("o")) < _DATE:
            version = tuple(int(part) for part in word.replace("o", ".0.1").split("."))  # 4o is between 4 and 4.1
    return " ".join(words), version
