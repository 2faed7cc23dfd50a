"""Events as AWS frames them.

All numbers big endian: total length, length of the headers, CRC-32 of these two; headers, each a name and a value with
its type (7: text); payload; CRC-32 of all before it (https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    """Frame one event."""
    content = json.dumps(payload).encode()
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = struct.pack("!II", 12 + len(headers) + len(content) + 4, len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + content
    return message + struct.pack("!I", zlib.crc32(message))
