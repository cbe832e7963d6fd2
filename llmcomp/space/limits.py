"""What one visitor may ask of this machine, so that there is something left for the others.

In: the machine. Out: limits on bytes, tokens, seconds, queue, sessions and disk, and the sentence
that tells visitors of them. Whoever starts work checks them first.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcomp.errors import LLMCompError
from llmcomp.space.hardware import Hardware

__all__ = ["LimitError", "Limits", "limits_of"]


class LimitError(LLMCompError):
    """More is asked for than this machine gives one visitor; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        input_bytes: of a text, and of what a file decodes to.
        blob_bytes: of a file.
        tokens: of a job on a Hub model.
        hub_seconds: of such a job, by its estimate; what would take longer is refused.
        seconds: of any job; what does take longer is stopped.
        queue: jobs that may wait.
        at_once: jobs that run at the same time.
        sessions: visitors whose work is remembered.
        disk_bytes: of all files that wait to be downloaded.
    """

    input_bytes: int = 200_000
    blob_bytes: int = 1 << 20
    tokens: int = 4096
    hub_seconds: int = 600
    seconds: int = 600
    queue: int = 20
    at_once: int = 2
    sessions: int = 200
    disk_bytes: int = 1_000_000_000

    def require_tokens(self, n_tokens: int) -> None:
        """Refuses a text that is too long for a Hub model.

        Raises:
            LimitError: if it is.
        """
        if n_tokens > self.tokens:
            raise LimitError(
                f"{n_tokens:,} tokens are too many for this model here, which takes at most "
                f"{self.tokens:,}: take a shorter text, the embedded model, or the command line"
            )

    def require_seconds(self, seconds: float) -> None:
        """Refuses a job that would take too long by its estimate.

        Raises:
            LimitError: if it would.
        """
        if seconds > self.hub_seconds:
            raise LimitError(
                f"this would take about {seconds:,.0f} s here, and a job may take "
                f"{self.hub_seconds:,} s: take a shorter text, a smaller model, or the command line"
            )


def limits_of(hardware: Hardware) -> Limits:
    """Chooses the limits of a machine.

    A GPU that is lent counts against the visitor's own minutes, two a day without an account, so a
    job there is kept short.
    """
    if hardware.lent:
        return Limits(tokens=4096, hub_seconds=60)
    if hardware.gpu:
        return Limits(tokens=32_768)
    return Limits(tokens=2048)
