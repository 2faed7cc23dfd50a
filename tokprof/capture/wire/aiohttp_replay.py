"""aiohttp: a connector whose connections have an answer already; all the rest is the library's own work."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import aiohttp


def connector(pieces: list[bytes]) -> aiohttp.BaseConnector:
    """Give a connector that answers one request.

    Parameters
    ----------
    pieces : list of bytes
        Of the answer as HTTP/1.1 writes it.
    """
    made = _Connector(force_close=True)
    made.pieces = pieces
    return made


class _Connector(aiohttp.BaseConnector):
    pieces: list[bytes]

    async def _create_connection(self, *_request: Any, **_settings: Any) -> Any:
        protocol: Any = self._factory()
        protocol.connection_made(_Transport(protocol, self.pieces, asyncio.get_running_loop()))
        return protocol


class _Transport(asyncio.Transport):
    """A connection that takes a request for granted, and gives its answer piece by piece, as the program reads it."""

    def __init__(self, protocol: Any, pieces: list[bytes], loop: asyncio.AbstractEventLoop):
        super().__init__()
        self._protocol = protocol
        self._pieces = deque(pieces)
        self._loop = loop
        self._begun = self._paused = self._closing = False

    def write(self, _data: Any) -> None:
        if not self._begun:
            self._begun = True
            self._loop.call_soon(self._give)

    def writelines(self, _data: Any) -> None:
        self.write(b"")

    def _give(self) -> None:
        if self._paused or self._closing or not self._pieces:
            return
        self._protocol.data_received(self._pieces.popleft())
        self._loop.call_soon(self._give)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._give)

    def is_reading(self) -> bool:
        return not self._paused

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0
