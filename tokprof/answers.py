"""Where a replay cache keeps its answers: in memory, or in one file of SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tokprof import recorder
from tokprof.span import Answer

_MARK = 0x746F_6B70  # "tokp", the application id of our files; https://www.sqlite.org/pragma.html#pragma_application_id
_FORMAT = 1
_PATIENCE = 5.0  # seconds to wait for another process that writes
_TOUCHED = 64  # answers that were used, and are yet to be told to the file
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS answers (
        key BLOB PRIMARY KEY, at INTEGER NOT NULL, used INTEGER NOT NULL, size INTEGER NOT NULL,
        status INTEGER NOT NULL, headers TEXT NOT NULL, lengths TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS by_use ON answers (used, size);
"""


class Store(Protocol):
    """Answers by the hash of their request; the one that was used longest ago goes first."""

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""

    def get(self, key: bytes, ttl: float | None) -> Answer | None:
        """Give an answer that is no older than `ttl` seconds."""

    def put(self, key: bytes, answer: Answer, limit: int) -> None:
        """Keep an answer, and let others go until all take `limit` bytes at most."""

    def clear(self) -> None:
        """Forget all answers."""

    def count(self) -> tuple[int, int]:
        """How many answers there are, and their bytes."""

    def alone(self) -> None:
        """Hear that this process was forked: whoever had the store is not in it."""


def _fresh(at: int, ttl: float | None) -> bool:
    """Whether an answer is young enough; one from the future is as old as it is ahead: a clock was set."""
    return ttl is None or abs(recorder.wall_clock() - at) <= ttl * 1e9


class Memory:
    """A store in this process's memory."""

    path = None

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, tuple[Answer, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()

    def get(self, key: bytes, ttl: float | None) -> Answer | None:
        """As `Store.get`."""
        with self._lock:
            found = self._answers.get(key)
            if found is None or not _fresh(found[1], ttl):
                return None
            self._answers.move_to_end(key)
            return found[0]

    def put(self, key: bytes, answer: Answer, limit: int) -> None:
        """As `Store.put`."""
        if answer.size > limit:
            return
        with self._lock:
            self._drop(key)
            self._answers[key] = answer, recorder.wall_clock()
            self._size += answer.size
            while self._size > limit:
                self._drop(next(iter(self._answers)))

    def _drop(self, key: bytes) -> None:
        gone = self._answers.pop(key, None)
        if gone is not None:
            self._size -= gone[0].size

    def alone(self) -> None:
        """As `Store.alone`."""
        self._lock = threading.RLock()

    def clear(self) -> None:
        """As `Store.clear`."""
        with self._lock:
            self._answers.clear()
            self._size = 0

    def count(self) -> tuple[int, int]:
        """As `Store.count`."""
        with self._lock:
            return len(self._answers), self._size


class File:
    """A store in a file, which several processes may use.

    Parameters
    ----------
    path : Path
        Made where there is none, for its owner alone to read.

    Raises
    ------
    ValueError
        For a file that is no replay cache, is damaged, or was written by a later version; nothing is written to it.
    OSError
        Where it cannot be made or read.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.RLock()
        self._busy = False  # garbage that is collected while this thread is at work may end a call
        self._touched: dict[bytes, None] = {}
        self._left: list[sqlite3.Connection] = []  # of the parent of a forked process, which must not close it
        self._db = self._connect()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def _connect(self) -> sqlite3.Connection:
        self._pid = os.getpid()
        check(self._path)
        new = not self._path.exists() or not self._path.stat().st_size
        if new:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._path.chmod(0o600)
        db = sqlite3.connect(self._path, _PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with _transaction(db):
                if new and not _one(db, "PRAGMA application_id"):
                    db.execute(f"PRAGMA application_id = {_MARK}")
                    db.execute(f"PRAGMA user_version = {_FORMAT}")
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        db.execute(statement)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("SELECT count(*), sum(size) FROM answers").fetchone()
        except sqlite3.Error as error:
            db.close()
            raise ValueError(_damaged(self._path, error)) from None
        stat = self._path.stat()
        self._inode = stat.st_dev, stat.st_ino
        return db

    @property
    def there(self) -> bool:
        """Whether the file is still the one that was opened."""
        try:
            stat = self._path.stat()
        except OSError:
            return False
        return (stat.st_dev, stat.st_ino) == self._inode

    def alone(self) -> None:
        """As `Store.alone`."""
        self._lock, self._busy = threading.RLock(), False

    def close(self) -> None:
        """Close the file."""
        if self._pid != os.getpid():
            return
        with self._work() as db:
            if db is None:
                return
            with suppress(sqlite3.Error):
                if self._touched:
                    with _transaction(db):
                        self._touch(db)
            db.close()

    @contextmanager
    def _work(self) -> Iterator[sqlite3.Connection | None]:
        """Hold the file; None where this very thread does already."""
        with self._lock:
            if self._busy:
                yield None
                return
            self._busy = True
            try:
                if self._pid != os.getpid():
                    self._left.append(self._db)
                    self._db = self._connect()
                yield self._db
            except sqlite3.Error as error:
                raise ValueError(_damaged(self._path, error)) from None
            finally:
                self._busy = False

    def get(self, key: bytes, ttl: float | None) -> Answer | None:
        """As `Store.get`."""
        with self._work() as db:
            if db is None:
                return None
            row = db.execute("SELECT at, status, headers, lengths, body FROM answers WHERE key = ?", (key,)).fetchone()
            if row is None or not _fresh(row[0], ttl):
                return None
            found = _answer(*row[1:])
            if found is None:
                raise sqlite3.DatabaseError("an answer is not as it was written")
            self._touched[key] = None
            if len(self._touched) >= _TOUCHED:
                try:
                    with _transaction(db):
                        self._touch(db)
                except sqlite3.Error:  # another process is at it, or it may only be read; the answer is here
                    self._touched.clear()
            return found

    def put(self, key: bytes, answer: Answer, limit: int) -> None:
        """As `Store.put`."""
        if answer.size > limit:
            return
        lengths, headers = json.dumps([len(chunk) for chunk in answer.chunks]), json.dumps(answer.headers)
        with self._work() as db:
            if db is None:
                return
            with _transaction(db):
                self._touch(db)
                values = (key, recorder.wall_clock(), _next(db), answer.size, answer.status, headers, lengths)
                db.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*values, b"".join(answer.chunks)),
                )
                excess = _one(db, "SELECT sum(size) FROM answers") - limit
                if excess > 0:
                    for row, size in db.execute("SELECT rowid, size FROM answers ORDER BY used").fetchall():
                        db.execute("DELETE FROM answers WHERE rowid = ?", (row,))
                        excess -= size
                        if excess <= 0:
                            break

    def _touch(self, db: sqlite3.Connection) -> None:
        """Write down what was used since the last time."""
        for key in self._touched:
            db.execute("UPDATE answers SET used = ? WHERE key = ?", (_next(db), key))
        self._touched.clear()

    def clear(self) -> None:
        """As `Store.clear`."""
        with self._work() as db:
            if db is not None:
                db.execute("DELETE FROM answers")
                db.execute("VACUUM")  # what was said must not stay in free pages

    def count(self) -> tuple[int, int]:
        """As `Store.count`."""
        with self._work() as db:
            if db is None:
                return 0, 0
            number, size = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM answers").fetchone()
            return int(number), int(size)


def check(path: Path) -> None:
    """Look whether a file can be a replay cache.

    Parameters
    ----------
    path : Path
        It need not be there.

    Raises
    ------
    ValueError
        For a file that is something else, is damaged, or was written by a later version.
    OSError
        Where it cannot be read, or its folder is not there.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a replay cache is one file")
    if not path.exists():
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path.absolute().parent} is not there, so no replay cache can be made in it")
        return
    with path.open("rb") as file:
        begin = file.read(100)
    if not begin:
        return
    if begin[:16] != b"SQLite format 3\0" or int.from_bytes(begin[68:72], "big") != _MARK:
        raise ValueError(f"{path} is no replay cache of tokprof, and is left as it is; give another path")
    version = int.from_bytes(begin[60:64], "big")
    if version > _FORMAT:
        told = f"{path} has format {version}, and this tokprof reads {_FORMAT}"
        raise ValueError(f"{told}: pip install --upgrade jupyter-tokprof, or give another path")


def _damaged(path: Path, error: sqlite3.Error) -> str:
    return f"the replay cache {path} cannot be used: {str(error)[:80]}; delete it, or give another path"


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _one(db: sqlite3.Connection, question: str) -> int:
    return int(db.execute(question).fetchone()[0] or 0)


def _next(db: sqlite3.Connection) -> int:
    """Count uses: no clock says reliably what came later."""
    return _one(db, "SELECT max(used) FROM answers") + 1


def _answer(status: Any, headers: Any, lengths: Any, body: Any) -> Answer | None:
    try:
        named = tuple((str(name), str(value)) for name, value in json.loads(headers))
        chunks, at = [], 0
        for length in json.loads(lengths):
            chunks.append(body[at : at + length])
            at += length
        return Answer(int(status), named, tuple(chunks)) if at == len(body) else None
    except (ValueError, TypeError):
        return None
