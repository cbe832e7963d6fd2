"""Loaded models: each once, and no more of them than memory has room for.

In: a key, the bytes a model will take and how to load it. Out: the model. What was not asked for
the longest makes room; whoever still works with it keeps it until he has finished.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from llmcomp.errors import ModelError

__all__ = ["Shelf"]

T = TypeVar("T")


class Shelf(Generic[T]):
    """Keeps what was loaded.

    Args:
        most: how many models it holds at the most, as long as it knows of no limit to memory.

    Attributes:
        cap_bytes: memory for all of them, None if it is not known.
    """

    def __init__(self, most: int) -> None:
        self.cap_bytes: int | None = None
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def take(self, key: Hashable, n_bytes: int, load: Callable[[], T]) -> T:
        """Gives a model, loading it if it is not here; two who ask at once load it once.

        Args:
            key: what tells it from others.
            n_bytes: memory that it will take.
            load: makes it.

        Raises:
            ModelError: if it is larger than all the memory there is for models; whatever ``load``
                raises.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
            self._make_room(n_bytes)
            model = load()
            self._held[key] = (model, n_bytes)
            return model

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._held

    def _make_room(self, n_bytes: int) -> None:
        cap = self.cap_bytes
        if cap is not None and n_bytes > cap:
            raise ModelError(
                f"this model takes {n_bytes / 1e9:.1f} GB of memory, and {cap / 1e9:.1f} GB are "
                "there for models; take a smaller one"
            )
        while self._held and self._full(n_bytes):
            self._held.popitem(last=False)

    def _full(self, n_bytes: int) -> bool:
        if self.cap_bytes is None:
            return len(self._held) >= self._most
        return n_bytes + sum(held for _, held in self._held.values()) > self.cap_bytes
