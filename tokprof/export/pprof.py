"""pprof: the gzipped protocol buffer of https://github.com/google/pprof/blob/main/proto/profile.proto."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tokprof.analysis.books import books
from tokprof.export.stacks import UNITS, own, paths, whole
from tokprof.export.texts import label
from tokprof.span import METRICS

if TYPE_CHECKING:
    from tokprof.analysis.tree import Tree
    from tokprof.profile import Profile


class _Strings:
    def __init__(self) -> None:
        self.index: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self.index.setdefault(text, len(self.index))


def render(profile: Profile) -> bytes:
    """Give the merged tree as a profile with samples of calls, tokens by kind, cost and time."""
    table, tree = profile.table, profile.merged_tree
    texts = _Strings()
    calls = _calls(profile, tree)
    columns = [calls, *(whole(own(tree, metric), metric) for metric in METRICS)]
    out = bytearray()
    for name in ("calls", *METRICS):
        unit = UNITS.get(name, "calls" if name == "calls" else "tokens")
        out += _message(1, _number(1, texts(name)) + _number(2, texts(unit)))
    functions: dict[tuple[str, str], int] = {}
    locations: dict[tuple[int, int], int] = {}
    places: list[int] = []
    for name, where in zip(tree.name, tree.where, strict=True):
        file, _, digits = where.rpartition(":")
        line = int(digits) if file and digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
        function = functions.setdefault((label(name), label(file) if file else ""), len(functions) + 1)
        places.append(locations.setdefault((function, line), len(locations) + 1))
    for path, values in zip(paths(tree), zip(*columns, strict=True), strict=True):
        if any(values):
            leaf = path[-1]
            sample = _packed(1, (places[node] for node in reversed(path))) + _packed(2, values)
            sample += _message(3, _number(1, texts("kind")) + _number(2, texts(tree.kind[leaf])))
            for model in tree.models[leaf]:
                sample += _message(3, _number(1, texts("model")) + _number(2, texts(label(model))))
            out += _message(2, sample)
    for (function, line), number in locations.items():
        out += _message(4, _number(1, number) + _message(4, _number(1, function) + _number(2, line)))
    for (name, file), number in functions.items():
        named = _number(2, texts(name)) + _number(3, texts(name)) + _number(4, texts(file))
        out += _message(5, _number(1, number) + named)
    comment, default = texts(f"tokprof {label(profile.title)}"), texts("tokens")
    for text in texts.index:
        out += _message(6, text.encode("utf-8"))
    if len(table):
        out += _number(9, table.spans[0].start) + _number(10, round(table.duration(table.spans[0]) * 1e9))
    out += _number(13, comment) + _number(14, default)
    return gzip.compress(bytes(out), mtime=0)


def _calls(profile: Profile, tree: Tree) -> list[int]:
    kept = books(profile.table)
    return [sum(int(kept.call[row] * kept.weight[row]) for row in rows) for rows in tree.rows]


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _message(field, b"".join(map(_varint, values)))
