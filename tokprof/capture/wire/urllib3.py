"""The body of a urllib3 answer, as requests and botocore hand it on. Not a transport of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokprof.capture.wire.call import WireCall


def follow(raw: Any, call: WireCall) -> None:
    """Note what is read of `raw`, by replacing methods on this one object.

    ``stream`` is built on ``read`` or ``read_chunked``, so only the outermost of them counts.
    """
    inside = False

    def noted(data: bytes, whole: bool) -> bytes:
        if data:
            call.chunk(bytes(data))
        if whole or not data:
            call.finish(complete=True)
        return data

    def wrap_read(original: Any) -> Any:
        def read(amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
            nonlocal inside
            if inside:
                return original(amt, *args, **kwargs)  # type: ignore[no-any-return]
            inside = True
            try:
                data = original(amt, *args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            finally:
                inside = False
            return noted(data, whole=amt is None) if amt != 0 else data

        return read

    def wrap_stream(original: Any) -> Any:
        def stream(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            nonlocal inside
            if inside:
                yield from original(*args, **kwargs)
                return
            pieces = iter(original(*args, **kwargs))
            try:
                while True:
                    inside = True
                    try:
                        data = next(pieces)
                    except StopIteration:
                        break
                    finally:
                        inside = False
                    call.chunk(bytes(data))
                    yield data
            except GeneratorExit:
                call.finish(complete=False)
                raise
            except BaseException as error:
                call.fail(error)
                raise
            call.finish(complete=True)

        return stream

    def wrap_close(original: Any) -> Any:
        def close(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            finally:
                if not inside:  # it closes itself as well, when it has read the last byte
                    call.finish(complete=False)

        return close

    for name, wrap in (
        ("read", wrap_read),
        ("read1", wrap_read),
        ("stream", wrap_stream),
        ("read_chunked", wrap_stream),
        ("close", wrap_close),
    ):
        if (original := getattr(raw, name, None)) is not None:
            setattr(raw, name, wrap(original))
