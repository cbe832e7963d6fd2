"""The only place where the Space's tools talk to the Hub and to a running Space.

In: plain values. Out: plain values, or one line that says what went wrong. Tests put a fake in its
place, so that nothing else has to know what a request looks like.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llmcomp.errors import LLMCompError

__all__ = ["Client", "Hub", "HubError", "RealHub", "RefusedError", "Runtime"]


_POLL_S = 2.0


class HubError(LLMCompError):
    """The Hub, or a Space on it, says no or cannot be reached."""


class RefusedError(HubError):
    """A Space answered a call with an error of its own: it works, and says no."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a Space is.

    Attributes:
        stage: the Hub's word for it; ``RUNNING`` if all is well.
        hardware: the flavour it runs on, empty if it has none yet.
        log: the end of its build or run log if it does not run.
    """

    stage: str
    hardware: str
    log: str = ""


class Client(Protocol):
    """A running Space, called as its API's users call it."""

    def call(self, endpoint: str, *values: Any) -> Any:
        """Calls an endpoint and waits for what it returns.

        Raises:
            RefusedError: if the Space says no.
            HubError: if it cannot be asked.
        """

    def endpoints(self) -> list[str]:
        """Names those that are public."""


class Hub(Protocol):
    """What deploying asks of the Hub."""

    def has_commit(self, repository: str, revision: str) -> bool:
        """Tells whether a model has a commit."""

    def create(
        self,
        repo_id: str,
        *,
        hardware: str,
        sleep_time: int | None,
        private: bool,
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
    ) -> str:
        """Makes a Space, or brings one that is there to these settings; returns its address."""

    def upload(self, repo_id: str, folder: Path, message: str) -> str:
        """Makes a folder the whole content of a Space; returns the commit."""

    def wait(self, repo_id: str, commit: str, timeout_s: float) -> Runtime:
        """Waits until a Space runs at a commit, or has failed to."""

    def client(self, repo_id: str) -> Client:
        """Connects to a running Space, or to any address that begins with ``http``."""


class RealHub:
    """The Hub itself, by huggingface_hub, with the token of ``hf auth login`` or ``$HF_TOKEN``."""

    def __init__(self) -> None:
        from huggingface_hub import HfApi

        self._api = HfApi()

    def has_commit(self, repository: str, revision: str) -> bool:
        """See `Hub`."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        with _one_line():
            try:
                self._api.model_info(repository, revision=revision)
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return False
        return True

    def create(
        self,
        repo_id: str,
        *,
        hardware: str,
        sleep_time: int | None,
        private: bool,
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
    ) -> str:
        """See `Hub`."""
        from huggingface_hub import SpaceHardware

        with _one_line():
            url = self._api.create_repo(
                repo_id,
                repo_type="space",
                space_sdk="gradio",
                space_hardware=SpaceHardware(hardware),
                space_sleep_time=sleep_time,
                private=private,
                exist_ok=True,
            )
            # one by one, since a Space that exists keeps its settings
            for name, value in variables.items():
                self._api.add_space_variable(repo_id, name, value)
            for name, value in secrets.items():
                self._api.add_space_secret(repo_id, name, value)
            if self._api.get_space_runtime(repo_id).requested_hardware != hardware:
                self._api.request_space_hardware(repo_id, SpaceHardware(hardware))
            if sleep_time is not None:
                self._api.set_space_sleep_time(repo_id, sleep_time)
        return str(url)

    def upload(self, repo_id: str, folder: Path, message: str) -> str:
        """See `Hub`."""
        with _one_line():
            done = self._api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                repo_type="space",
                commit_message=message,
                delete_patterns="*",
            )
        return str(done.oid)

    def wait(self, repo_id: str, commit: str, timeout_s: float) -> Runtime:
        """See `Hub`."""
        deadline = time.monotonic() + timeout_s
        with _one_line():
            while True:
                left = max(1.0, deadline - time.monotonic())
                found = self._api.wait_for_space(repo_id, timeout=left)
                # for a moment the Hub still speaks of the version that ran before
                if found.raw.get("sha") in {None, commit} or time.monotonic() > deadline:
                    break
                time.sleep(_POLL_S)
            log = ""
            if found.stage != "RUNNING":
                build = str(found.stage).startswith("BUILD")
                lines = list(self._api.fetch_space_logs(repo_id, build=build))
                log = "".join(str(line) for line in lines[-40:])
        return Runtime(str(found.stage), str(found.hardware or ""), log)

    def client(self, repo_id: str) -> Client:
        """See `Hub`."""
        return _GradioClient(repo_id)


class _GradioClient:
    def __init__(self, source: str) -> None:
        from gradio_client import Client as Connection

        with _one_line():
            self._connection = Connection(source, verbose=False)

    def call(self, endpoint: str, *values: Any) -> Any:
        from gradio_client.exceptions import AppError

        with _one_line():
            try:
                return self._connection.predict(*values, api_name=endpoint)
            except AppError as error:
                raise RefusedError(f"the Space refuses: {error}") from error

    def endpoints(self) -> list[str]:
        with _one_line():
            found: dict[str, Any] = self._connection.view_api(
                return_format="dict", print_info=False
            )
        return sorted(found["named_endpoints"])


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns whatever a library raises into one line; connections break in many ways."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or ["no word"])[0]
        raise HubError(
            f"the Hub or the Space says: {type(error).__name__}: {line}; check the name, the "
            "connection, and that `hf auth whoami` knows you"
        ) from error
