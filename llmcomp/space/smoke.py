"""Trying a Space as its visitors use it: every line is something that worked.

In: a `Client`. Out: lines, or one that says what did not work. A text goes there and back, a
damaged file and a foreign model are refused.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from llmcomp.space.hub import Client, HubError, RefusedError

__all__ = ["ENDPOINTS", "smoke"]

ENDPOINTS = ("/compress_text", "/decompress_text", "/list_models")
"""What programs may call; the page's own jobs are not for them."""

_TEXT = "The quick brown fox jumps over the lazy dog. " * 4


def smoke(client: Client) -> Iterator[str]:
    """Tries a running Space.

    Yields:
        A line about everything that works.

    Raises:
        HubError: at the first thing that does not.
    """
    missing = sorted(set(ENDPOINTS) - set(client.endpoints()))
    if missing:
        raise HubError(f"the Space has no endpoint {', '.join(missing)}; deploy it again")
    yield f"it has the endpoints {', '.join(ENDPOINTS)}"
    models = client.call("/list_models")
    names = [model["name"] for model in models if model["offered"]]
    yield f"it offers {', '.join(names)}"
    for name in names:
        packed = client.call("/compress_text", _TEXT, name, "balanced")
        blob = base64.b64decode(packed["blob"])
        back = client.call("/decompress_text", packed["blob"])
        if back["text"] != _TEXT:
            raise HubError(f"{name}: the text came back as another; its log may say why")
        yield f"{name}: {len(_TEXT)} bytes went there and back in {len(blob)}"
    damaged = bytearray(blob)
    damaged[-6] ^= 1
    _refused(client, "a damaged file", "/decompress_text", base64.b64encode(damaged).decode())
    yield "a damaged file is refused"
    _refused(client, "a model it does not offer", "/compress_text", _TEXT, "owner/name", "balanced")
    yield "a model it does not offer is refused"


def _refused(client: Client, what: str, *call: Any) -> None:
    try:
        client.call(*call)
    except RefusedError:
        return
    raise HubError(f"{what} was taken although it must be refused")
