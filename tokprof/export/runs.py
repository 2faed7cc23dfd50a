"""Runs of an experiment as a file: one line of JSON a run, written when it has ended, read to go on from there.

The first line tells which experiment it is. The lines hold parameters, figures and scores; of what was asked and
answered there is nothing but what stands in the parameters.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokprof.views.experiments import RESERVED, WHOLE

_FORMAT = "tokprof experiment"
_VERSION = 1
_NUMBERS = ("cost", "cost_coverage", "seconds", "scoring_cost", "started")


class RunFile:
    """A file of runs.

    Parameters
    ----------
    path : str or Path
        Folders that do not exist are made.
    name : str
        Of the function.
    params : list of str
        Names of the parameters.
    code : dict of str to (str or None)
        Fingerprints of the function and the score: ``python:hash``, comparable within one Python.

    Attributes
    ----------
    rows : list of dict
        Runs that stood in the file, oldest first.
    """

    def __init__(self, path: str | Path, name: str, params: list[str], code: Mapping[str, str | None]):
        self.path = Path(path)
        self._code = dict(code)
        self._head: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "name": name,
            "params": params,
            "code": self._code,
        }
        self.rows: list[dict[str, Any]] = []

    def open(self) -> None:
        """Read what is there, and make ready to append.

        A last line that was cut off is taken away: its run will be run again.

        Raises
        ------
        ValueError
            For a file of something else, or of another experiment.
        OSError
            For a place where nothing can be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self.path.read_bytes() if self.path.exists() else b""
        if not whole:
            self._write(self._head)
            return
        lines = whole.split(b"\n")
        self._check(_parsed(lines[0]))
        for number, line in enumerate(lines[1:], 2):
            row = _parsed(line)
            if row is not None and _fits(row, {*RESERVED, *self._head["params"]}):
                self.rows.append(row)
            elif line.strip() and number < len(lines):
                warnings.warn(f"{self.path}, line {number}, cannot be read: left out", UserWarning, stacklevel=3)
        if lines[-1]:
            with self.path.open("r+b") as file:
                file.truncate(len(whole) - len(lines[-1]))
                if _parsed(lines[-1]) is not None:  # all but its end of line
                    file.seek(0, os.SEEK_END)
                    file.write(lines[-1] + b"\n")

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a run at once."""
        self._write(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        text = json.dumps(_jsonable(row), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = f"{text}\n".encode("utf-8", "surrogatepass")
        with self.path.open("ab", buffering=0) as file:  # one write for a line: another process may append, too
            file.write(line)

    def _check(self, head: dict[str, Any] | None) -> None:
        if head is None or head.get("format") != _FORMAT:
            raise ValueError(f"{self.path} is no file of an experiment; give another path")
        if head.get("version") != _VERSION:
            raise ValueError(f"{self.path} was written by another version of tokprof; give another path")
        for what, said in (("name", "the function {!r}"), ("params", "the parameters {}")):
            theirs, ours = head.get(what), self._head[what]
            if theirs != ours:
                told, asked = (", ".join(map(str, x)) if isinstance(x, list) else x for x in (theirs, ours))
                raise ValueError(
                    f"{self.path} is of another experiment: of {said.format(told)}, not {said.format(asked)}; "
                    "give another path, or delete the file"
                )
        before = head.get("code")
        before = before if isinstance(before, dict) else {}
        changed = [part for part, code in self._code.items() if _differs(before.get(part), code)]
        if changed:
            warnings.warn(
                f"{self.path}: {' and '.join(changed)} changed since the runs in it were made; "
                "they are kept as they are. Delete the file to run them anew",
                UserWarning,
                stacklevel=4,
            )


def _differs(before: Any, after: str | None) -> bool:
    """Whether a function is another one, as far as the same Python can tell."""
    if not (isinstance(before, str) and after):
        return False
    return before != after and before.partition(":")[0] == after.partition(":")[0]


def _fits(row: Mapping[str, Any], taken: set[str]) -> bool:
    """Whether a line is a run as it was written, and no hand has made something else of it."""
    scores = row.get("scores") or {}
    if not isinstance(row.get("params"), dict) or not _whole(row.get("repeat")) or not isinstance(scores, dict):
        return False
    return (
        all(row.get(name) is None or _whole(row[name]) for name in (*WHOLE, "seed"))
        and all(row.get(name) is None or _number(row[name]) for name in _NUMBERS)
        and all(row.get(name) is None or isinstance(row[name], str) for name in ("status", "error", "note"))
        and all(name not in taken and (value is None or _number(value)) for name, value in scores.items())
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line.decode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _jsonable(value: Any) -> Any:
    """The same with None for what is not known; JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return value
