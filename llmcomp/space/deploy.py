"""What goes up to a Space, and putting it there.

In: a `SpaceFile` and a `Hub`. Out: the exact list of files with their sizes, or a Space that was
created, filled, waited for and tried. Only what git tracks goes up, so that nothing private does.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from llmcomp.errors import LLMCompError
from llmcomp.space.card import SpaceFile
from llmcomp.space.hub import Hub, HubError
from llmcomp.space.smoke import smoke

__all__ = ["Upload", "deploy", "plan"]

_WAIT_S = 1800.0  # as long as the card allows the Space to start
_LARGE = 10_000_000  # bytes; beyond, a file is stored apart from the repository's history


@dataclass(frozen=True, slots=True)
class Upload:
    """What goes up.

    Attributes:
        files: bytes of each by its path in the Space.
        rendered: contents that differ from the repository's, by path.
    """

    files: Mapping[str, int]
    rendered: Mapping[str, bytes]

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.files.values())

    def lines(self) -> Iterator[str]:
        """Says it file by file."""
        for name, size in self.files.items():
            marks = ["rendered"] * (name in self.rendered) + ["large"] * (size > _LARGE)
            yield f"{size:>12,}  {name}{'  (' + ', '.join(marks) + ')' if marks else ''}"
        yield f"{self.total:>12,}  bytes in {len(self.files):,} files"


def plan(space: SpaceFile) -> Upload:
    """Lists what goes up: tracked files without those left out, requirements as the Space's.

    Raises:
        LLMCompError: if the repository is no git checkout, or a tracked file is missing.
    """
    rendered = {"requirements.txt": space.requirements().encode()}
    files = {}
    for name in sorted(_git(space.root, "ls-files", "-z").split("\0")):
        if not name or any(fnmatch(name, pattern) for pattern in space.leave_out):
            continue
        path = space.root / name
        if not path.is_file():
            raise LLMCompError(
                f"{path} is tracked but not there; commit its removal, or restore it"
            )
        files[name] = len(rendered[name]) if name in rendered else path.stat().st_size
    return Upload(files, rendered)


def deploy(
    space: SpaceFile, repo_id: str, hub: Hub, secrets: Mapping[str, str], *, wait_s: float = _WAIT_S
) -> Iterator[str]:
    """Creates a Space or updates it, uploads, waits until it runs, and tries it.

    Args:
        space: a file without problems.
        repo_id: ``owner/name``.
        hub: where.
        secrets: values of the secrets it names.
        wait_s: seconds to wait for the Space to run.

    Yields:
        A line about every step that is done.

    Raises:
        LLMCompError: if something is wrong beforehand, and nothing was changed then; if the Hub
            says no; if the Space does not run, or fails when it is tried.
    """
    problems = space.problems()
    if problems:
        raise LLMCompError(f"{problems[0]} ({len(problems)} in all; see space check)")
    if _git(space.root, "status", "--porcelain"):
        raise LLMCompError("there are changes that are not committed; commit or put them away")
    missing = sorted(set(space.secrets) - set(secrets))
    if missing:
        raise LLMCompError(f"no value for the secrets {', '.join(missing)}; set these variables")
    upload = plan(space)
    for model in space.registered:
        if not hub.has_commit(model.repository, str(model.revision)):
            raise HubError(
                f"the Hub has no commit {model.revision} of {model.repository}; pin another"
            )
    yield f"{len(space.registered)} models have their pinned commits"
    url = hub.create(
        repo_id,
        hardware=space.hardware,
        sleep_time=space.sleep_time,
        private=space.private,
        variables=space.environment,
        secrets={name: secrets[name] for name in space.secrets},
    )
    yield f"{url} is there, on {space.hardware}"
    commit = _git(space.root, "rev-parse", "--short", "HEAD").strip()
    with tempfile.TemporaryDirectory(prefix="llmcomp-space-") as folder:
        stage(space.root, upload, Path(folder))
        there = hub.upload(repo_id, Path(folder), f"llmcomp {commit}")
    yield f"{upload.total:,} bytes in {len(upload.files):,} files went up as {there[:12]}"
    runtime = hub.wait(repo_id, there, wait_s)
    if runtime.stage != "RUNNING":
        last = (runtime.log.strip().splitlines() or ["its log is empty"])[-1]
        raise HubError(f"{repo_id} does not run: {runtime.stage}; {last}")
    yield f"it runs on {runtime.hardware}"
    yield from smoke(hub.client(repo_id))


def stage(root: Path, upload: Upload, folder: Path) -> None:
    """Copies what goes up into an empty folder, as it will stand in the Space."""
    for name in upload.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(upload.rendered.get(name) or (root / name).read_bytes())


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise LLMCompError(
            f"git {words[0]} does not work in {root}: what goes up is what git tracks there; "
            "run this in a checkout"
        ) from error
    return done.stdout
