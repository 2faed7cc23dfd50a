"""Grids: what an experiment runs a function with, and by which names each point is shown, saved and found again."""

from __future__ import annotations

import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from tokprof.views.words import clean

Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_PLAIN = (str, bool, int, float, type(None))
_LONGEST = 48  # characters of a text in a column
_LISTS = (list, tuple, range)


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One combination of parameters.

    Attributes
    ----------
    number : int
        From 1, in the order of the grid.
    params : dict of str to object
        What the function is called with.
    shown : dict of str to object
        The same for columns: numbers, flags, None and short texts as they are, of all else a label.
    saved : dict of str to object
        The same for files: what JSON can hold as it is, of all else the label.
    """

    number: int
    params: dict[str, Any]
    shown: dict[str, Any]
    saved: dict[str, Any]

    @property
    def key(self) -> str:
        """Name of the point that is the same in each process."""
        return key_of(self.saved)

    def has(self, name: str, value: Any) -> bool:
        """Whether a parameter is this value, or is shown as it."""
        value = value.item() if isinstance(value, np.generic) else value
        for known in (self.params[name], self.shown[name]):
            plain = isinstance(known, _PLAIN) and isinstance(value, _PLAIN)
            if known is value or (plain and isinstance(known, bool) == isinstance(value, bool) and known == value):
                return True
        return False

    def words(self, names: Iterable[str] | None = None) -> str:
        """``model=gpt-4o-mini, k=3``; of `names` alone, where given."""
        kept = self.shown if names is None else {name: self.shown[name] for name in names if name in self.shown}
        return ", ".join(f"{name}={value}" for name, value in kept.items())


def key_of(saved: Mapping[str, Any]) -> str:
    """Name of a point by its saved parameters."""
    return json.dumps(saved, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def points(grid: Grid, repeats: int, max_runs: int) -> list[Point]:
    """Lay out a grid.

    Parameters
    ----------
    grid : mapping, sequence of mappings, or None
        Of names to their values (a list, or a dict of values by label; a single text, number or function is a list of
        one), for all combinations; or the combinations themselves. None is one point without parameters.
    repeats : int
    max_runs : int
        More runs than this are refused.

    Raises
    ------
    TypeError, ValueError
        For a grid that is none, is empty, has a value twice, or makes more runs than `max_runs`.
    """
    if grid is None:
        grid = {}
    if isinstance(grid, Mapping):
        names = _names(grid)
        values = [_values(name, grid[name]) for name in names]
        _check_size(math.prod(map(len, values)), repeats, max_runs)
        made = [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]
    elif isinstance(grid, _LISTS):
        for each in grid:
            if not isinstance(each, Mapping):
                raise TypeError(f"a grid that is a list holds dicts of parameters, not {type(each).__name__}")
        _check_size(len(grid), repeats, max_runs)
        made = _listed(grid)
    else:
        raise TypeError(
            f"grid must be a dict of names to lists of values, or a list of dicts, not {type(grid).__name__}"
        )
    found = [
        Point(
            number,
            {name: value.value for name, value in each.items()},
            {name: value.shown for name, value in each.items()},
            {name: value.saved for name, value in each.items()},
        )
        for number, each in enumerate(made, 1)
    ]
    seen: dict[str, Point] = {}
    for point in found:
        if (twin := seen.setdefault(point.key, point)) is not point:
            raise ValueError(f"points {twin.number} and {point.number} of the grid are the same; ask for more repeats")
    return found


def check_call(fn: Callable[..., Any], found: Sequence[Point], seeded: bool) -> None:
    """Refuse a grid whose names are not what a function takes.

    Raises
    ------
    TypeError
        With what it takes.
    """
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # a builtin: the first run will tell
        return
    for names in {tuple(point.params) for point in found}:
        try:
            signature.bind(**dict.fromkeys((*names, "seed") if seeded else names))
        except TypeError as error:
            raise TypeError(
                f"fn cannot be called with the parameters of the grid ({', '.join(names) or 'none'}): {error}; "
                f"it takes {signature}"
            ) from None


def takes_seed(fn: Callable[..., Any]) -> bool:
    """Whether a function has a parameter ``seed``."""
    try:
        return "seed" in inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    value: Any
    shown: Any
    saved: Any


def _names(grid: Mapping[Any, Any]) -> list[str]:
    for name in grid:
        if not isinstance(name, str):
            raise TypeError(f"the names of a grid are names of parameters, not {type(name).__name__} {name!r}")
    return list(grid)


def _values(name: str, given: Any) -> list[_Value]:
    """The values of one parameter, labelled."""
    if isinstance(given, Mapping):
        labels = _unique([clean(str(label)) for label in given], set())
        found = [
            _Value(value, label, _saved(value, label)) for label, value in zip(labels, given.values(), strict=True)
        ]
    else:
        if isinstance(given, _PLAIN) or callable(given):
            given = [given]
        elif hasattr(given, "tolist"):  # numpy and pandas, whose scalars JSON does not know
            given = given.tolist() if isinstance(given.tolist(), list) else [given.tolist()]
        elif not isinstance(given, _LISTS):
            hint = "; a set has no order" if isinstance(given, set | frozenset) else ""
            raise TypeError(f"the values of {name!r} must be a list, or a dict of label to value{hint}")
        found = _labelled(given)
    if not found:
        raise ValueError(f"the grid has no value for {name!r}")
    keys = [key_of({name: value.saved}) for value in found]
    for at, key in enumerate(keys):
        if keys.index(key) < at:
            raise ValueError(f"{found[at].shown!r} is twice among the values of {name!r}; ask for more repeats")
    return found


def _listed(grid: Sequence[Mapping[str, Any]]) -> list[dict[str, _Value]]:
    """Points that were given as such; a value has the same label wherever it stands."""
    made: list[dict[str, _Value]] = [{} for _ in grid]
    for name in dict.fromkeys(name for each in grid for name in _names(each)):
        holders = [at for at, each in enumerate(grid) if name in each]
        known: list[Any] = []
        places = []
        for at in holders:
            value = grid[at][name]
            place = next((index for index, other in enumerate(known) if _same(other, value)), len(known))
            if place == len(known):
                known.append(value)
            places.append(place)
        values = _labelled(known)
        for at, place in zip(holders, places, strict=True):
            made[at][name] = values[place]
    return made


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)


def _labelled(values: Iterable[Any]) -> list[_Value]:
    """Values with labels that tell them apart."""
    each = [value.item() if isinstance(value, np.generic) else value for value in values]
    short = [isinstance(value, _PLAIN) and not (isinstance(value, str) and _label(value) != value) for value in each]
    taken = {str(value) for value, plain in zip(each, short, strict=True) if plain}
    labels = iter(_unique([_label(value) for value, plain in zip(each, short, strict=True) if not plain], taken))
    found: list[_Value] = []
    for value, plain in zip(each, short, strict=True):
        label = str(value) if plain else next(labels)
        found.append(_Value(value, value if plain else label, _saved(value, label)))
    return found


def _unique(labels: Iterable[str], taken: set[str]) -> list[str]:
    """Labels, numbered where they would be the same as another one."""
    found = []
    for base in labels:
        names = itertools.chain([base], (f"{base} ({number})" for number in itertools.count(2)))
        label = next(name for name in names if name not in taken)
        taken.add(label)
        found.append(label)
    return found


def _saved(value: Any, label: str) -> Any:
    """A value as a file keeps it: the label where JSON cannot hold it as it is."""
    return value if _is_json(value) else {"$label": label}


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_json, value.values()))
    return type(value) in _PLAIN and not (isinstance(value, float) and not math.isfinite(value))


def _label(value: Any) -> str:
    """A short name of a value, the same in each process."""
    if isinstance(value, str):
        return _short(value)
    if name := getattr(value, "__qualname__", None):
        return str(name).rpartition("<locals>.")[2]
    if _is_json(value) or isinstance(value, tuple):
        return _short(json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__))
    if isinstance(value, Number):
        return _short(str(value))
    if callable(told := getattr(value, "isoformat", None)):  # dates and times
        return _short(str(told()))
    name = getattr(value, "name", None)
    return _short(name) if isinstance(name, str) and name else type(value).__name__


def _short(text: str) -> str:
    return clean(" ".join(text[: 4 * _LONGEST].split()), _LONGEST)


def _check_size(size: int, repeats: int, max_runs: int) -> None:
    if not size:
        raise ValueError("the grid is empty: there is nothing to run")
    if size * repeats > max_runs:
        raise ValueError(
            f"the grid has {size:,} combinations, which with repeats={repeats} are {size * repeats:,} runs; "
            f"give max_runs={size * repeats} if that is what you want"
        )
