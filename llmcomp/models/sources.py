"""Where a Hub model comes from: names, Hub ids, directories, and the download.

In: what somebody typed. Out: a directory with a configuration, safetensors weights and a
tokenizer, and the commit it was downloaded at. Knows nothing of what the files hold.

A registered name stands for the commit that `llmcomp.models.registry` pins; of everything else the
newest is asked for, and whoever keeps a blob keeps the commit that `Source.fetch` resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcomp.errors import ModelError
from llmcomp.models.registry import REGISTRY

__all__ = ["Checkout", "Report", "Source", "is_hub_id", "weight_files"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_FILES = [
    "config.json",
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
]
"""What is downloaded: no pickles, no code, no copies of the weights in other formats."""

Report = Callable[[str], None]
"""Takes one line of text for people."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A model's files on this machine.

    Attributes:
        name: as people call it.
        directory: where they lie.
        repository: Hub id ``owner/name``, None for a directory given by hand.
        revision: the commit they were downloaded at, None for a directory given by hand.
    """

    name: str
    directory: Path
    repository: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A model on the Hub or in a directory.

    Attributes:
        name: as people call it.
        repository: Hub id ``owner/name``, None for a directory given by hand.
        revision: commit, branch or tag; None for the newest, or for a directory.
        directory: the one given by hand, None for a model on the Hub.
    """

    name: str
    repository: str | None = None
    revision: str | None = None
    directory: Path | None = None

    @classmethod
    def find(cls, text: str, revision: str | None = None) -> Source:
        """Reads a registry name, a directory, or a Hub id with or without ``@revision``.

        Raises:
            ModelError: if it is none of these.
            ValueError: if two revisions are given, or one for a directory.
        """
        if text in REGISTRY:
            known = REGISTRY[text]
            return cls(text, known.repository, revision or known.revision)
        if Path(text).is_dir():
            if revision is not None:
                raise ValueError(f"{text} is a directory; a revision is of a model on the Hub")
            return cls(Path(text).resolve().name, directory=Path(text))
        if not is_hub_id(text):
            raise ModelError(
                f"no model {text!r}; wanted a directory, a Hub id owner/name, or one of "
                + ", ".join(REGISTRY)
            )
        repository, _, after = text.partition("@")
        if after and revision not in {None, after}:
            raise ValueError(f"two revisions, {after} and {revision}; give one")
        return cls(text, repository, after or revision)

    def fetch(self, report: Report | None = None, *, download: bool = True) -> Checkout:
        """Downloads what is not here yet; without the network, what was downloaded before serves.

        Args:
            report: takes lines about progress; without it bars are drawn on standard error.
            download: ask the Hub at all.

        Raises:
            ModelError: if the model cannot be had, saying what to do.
        """
        if self.repository is None:
            return Checkout(self.name, Path(self.directory or "."))
        directory = Path(_download(self.repository, self.revision, report, download))
        # the cache keeps each commit's files in a folder of that name
        commit = directory.name if _COMMIT.fullmatch(directory.name) else self.revision
        return Checkout(self.name, directory, self.repository, commit)


def is_hub_id(text: str) -> bool:
    """Tells whether a text has the form ``owner/name`` or ``owner/name@revision``."""
    return _HUB_ID.fullmatch(text) is not None


def weight_files(directory: Path) -> list[Path]:
    """Lists the safetensors files a model is loaded from, in order of their names.

    Raises:
        ModelError: if there are none.
    """
    whole = directory / "model.safetensors"
    parts = sorted(directory.glob("model-*.safetensors"))
    if whole.is_file():
        return [whole]
    if parts and (directory / "model.safetensors.index.json").is_file():
        return parts
    raise ModelError(
        f"{directory} has no model.safetensors; only safetensors weights are loaded, "
        "so convert the model, or take a revision that has them"
    )


def _download(repository: str, revision: str | None, report: Report | None, download: bool) -> str:
    """Asks the Hub, and says in one line why it did not work."""
    from huggingface_hub import errors, snapshot_download

    options: dict[str, Any] = {"tqdm_class": _reporting(report)} if report else {}
    options["local_files_only"] = not download
    try:
        return snapshot_download(repository, revision=revision, allow_patterns=_FILES, **options)
    except errors.GatedRepoError:
        why = f"is gated; accept its terms at https://huggingface.co/{repository} and log in"
        why += " with `hf auth login`"
    except errors.RevisionNotFoundError:
        why = f"has no revision {revision!r} on the Hub; check it, or leave it out for the newest"
    except errors.RepositoryNotFoundError:
        why = "is not on the Hub, or is private; check the name, or log in with `hf auth login`"
    except errors.HFValidationError:
        why = "is not a valid Hub id; wanted owner/name"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        if not download:
            raise ModelError(
                f"model {repository} is not on this machine, and no blob may make it download "
                f"one; name it yourself (--model {repository}) to fetch it"
            ) from None
        why = "is not on this machine, and the Hub cannot be reached; connect (and unset "
        why += "HF_HUB_OFFLINE) once to download it, or give a directory that holds it"
    except Exception as error:  # connections break in as many ways as there are layers
        line = (str(error).splitlines() or [""])[0]
        why = f"could not be downloaded: {type(error).__name__}: {line}; try again, "
        why += "or give a directory that holds it"
    raise ModelError(f"model {repository} {why}")


def _reporting(report: Report) -> type:
    """A progress bar that tells its state in lines instead of drawing itself."""
    from tqdm.auto import tqdm

    class Reporting(tqdm):
        def display(self, *_: Any, **__: Any) -> None:
            total = f" of {self.total:,}" if self.total else ""
            report(f"{self.desc or 'downloading'}: {self.n:,}{total}")

    return Reporting
