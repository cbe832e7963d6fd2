"""spaces.yaml is the single source: what is wrong with it is said, what goes up is known."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import httpx
import huggingface_hub
import pytest
import yaml
from conftest import ROOT
from huggingface_hub import SpaceCardData, SpaceHardware, errors

from llmcomp import cli
from llmcomp.errors import LLMCompError
from llmcomp.models.registry import REGISTRY
from llmcomp.space import card, deploy, hub, smoke
from llmcomp.space.hardware import FLAVOURS

REQUEST = httpx.Request("GET", "https://huggingface.co")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with just what a Space needs, all of it committed."""
    for name in ("spaces.yaml", "README.md", "requirements.txt", "app.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "secret_of_ours.txt").write_text("not for the Space", encoding="utf-8")
    (tmp_path / "большой файл.txt").write_text("x" * 100, encoding="utf-8")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    (tmp_path / "untracked.txt").write_text("private", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("untracked.txt\n", encoding="utf-8")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "state")


def changed(root: Path, **sections: Mapping[str, Any]) -> card.SpaceFile:
    """Writes changes into spaces.yaml, and the README with it."""
    found = yaml.safe_load((root / "spaces.yaml").read_text("utf-8"))
    for section, changes in sections.items():
        found[section] |= changes
    (root / "spaces.yaml").write_text(yaml.safe_dump(found, allow_unicode=True), encoding="utf-8")
    space = card.read(root)
    card.sync(space)
    return space


def test_our_own_file_has_no_problems():
    space = card.read(ROOT)
    assert space.problems() == []
    front = yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---\n")[1])
    assert front == space.front_matter
    assert SpaceCardData(**front).to_dict() == front, "the Hub's own class takes every key"
    assert set(FLAVOURS) <= {flavour.value for flavour in SpaceHardware}


def test_preloaded_models_are_pinned():
    space = card.read(ROOT)
    assert space.models
    for model, line in zip(space.registered, space.front_matter["preload_from_hub"], strict=True):
        repository, files, commit = line.split()
        assert (repository, commit) == (model.repository, model.revision)
        assert "model.safetensors" in files and len(commit) == 40
    assert space.environment["LLMCOMP_MODELS"] == ",".join(space.models)


def test_the_spaces_requirements_are_ours_but_for_what_the_hub_brings():
    local = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    rendered = card.read(ROOT).requirements().splitlines()[1:]
    assert "torch>=2.8" in rendered
    assert not any(line.startswith(("gradio", "spaces", "huggingface_hub")) for line in rendered)
    assert {line for line in local if line.startswith(("numpy", "transformers"))} <= set(rendered)


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        ("card", {"short_description": "x" * 61}, "61 characters; the Hub takes 60"),
        ("card", {"colorFrom": "violet"}, "colorFrom is 'violet'; wanted one of red"),
        ("card", {"python_version": 3.1}, "python_version is 3.1; put it in quotes"),
        ("card", {"python_version": "3.11"}, "ZeroGPU runs"),
        ("card", {"sdk_version": "6.30.0"}, "requirements.txt pins gradio 6.31.0"),
        ("card", {"hardware": "t4-small"}, "'hardware' is no key"),
        ("card", {"suggested_hardware": "t5"}, "suggested_hardware is 't5'"),
        ("card", {"app_file": "main.py"}, "there is no such file"),
        ("card", {"fullWidth": "yes"}, "wanted true or false"),
        ("card", {"tags": "one, two"}, "wanted a list of words"),
        ("card", {"preload_from_hub": ["a b c"]}, "follows from deploy: models"),
        ("deploy", {"hardware": "t5"}, "hardware is 't5'; wanted one of cpu-basic"),
        ("deploy", {"models": ["gpt-9"]}, "model 'gpt-9' is not registered"),
        ("deploy", {"models": ["open-llama-7b"]}, "has no pinned commit"),
        ("deploy", {"models": ["open-llama-7b", "open-llama-3b"]}, "the models weigh 41 GB"),
        ("deploy", {"torch": "<2.8"}, "leaves out"),
        ("deploy", {"torch": "new"}, "wanted a version range"),
        ("deploy", {"torch": ">=2.12"}, "ZeroGPU runs 2.8.0"),
        ("deploy", {"secrets": ["a-b"]}, "'a-b' is no name of a variable"),
        ("deploy", {"secrets": ["GRADIO_SSR_MODE"]}, "is a variable and a secret"),
        ("deploy", {"variables": {"LIMIT": 5}}, "variable LIMIT is 5; put it in quotes"),
        ("deploy", {"sleep_time": 5}, "sleep_time is 5; wanted 300 s or more"),
        ("deploy", {"preinstalled": ["nothing"]}, "'nothing' is not in requirements.txt"),
    ],
)
def test_every_fault_is_one_line(repository, section, changes, words):
    problems = changed(repository, **{section: changes}).problems()
    assert any(words in problem for problem in problems), problems
    assert not any("\n" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("card: [", "is not YAML"),
        ("card: {}", "sections card and deploy"),
        ("{card: [], deploy: {}}", "have to hold keys"),
        ("{card: {}, deploy: {hardware: t4-small, token: x}}", "unknown keys token"),
        ("{card: {}, deploy: {}}", "names no hardware"),
        ("{card: {}, deploy: {hardware: t4-small, models: null}}", "models is None"),
        ("{card: {}, deploy: {hardware: t4-small, sleep_time: 1h}}", "sleep_time is '1h'"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(repository, text, words):
    (repository / "spaces.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LLMCompError, match=words) as caught:
        card.read(repository)
    assert "\n" not in str(caught.value)
    (repository / "spaces.yaml").unlink()
    with pytest.raises(LLMCompError, match="there is no"):
        card.read(repository)


def test_a_changed_card_is_found_and_written(repository):
    found = yaml.safe_load((repository / "spaces.yaml").read_text("utf-8"))
    found["card"]["title"] = "another"
    (repository / "spaces.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    space = card.read(repository)
    assert any("does not begin with the card" in problem for problem in space.problems())
    body = (repository / "README.md").read_text("utf-8").split("---\n", 2)[2]
    assert card.sync(space)
    assert space.problems() == []
    assert not card.sync(space), "nothing is left to do"
    assert (repository / "README.md").read_text("utf-8").endswith(f"---\n{body}")


def test_what_goes_up_is_what_git_tracks_and_nothing_else(repository):
    space = card.read(repository)
    upload = deploy.plan(space)
    assert set(upload.files) == {
        "README.md",
        "app.py",
        "requirements.txt",
        "spaces.yaml",
        "большой файл.txt",
    }
    staged = repository.parent / "staged"
    deploy.stage(repository, upload, staged)
    for name, size in upload.files.items():
        assert (staged / name).stat().st_size == size
    assert (staged / "requirements.txt").read_text("utf-8") == space.requirements()
    *_, total = upload.lines()
    assert total.split() == [f"{upload.total:,}", "bytes", "in", "5", "files"]


def test_our_own_upload_holds_the_app_and_no_tests():
    files = deploy.plan(card.read(ROOT)).files
    assert {"app.py", "README.md", "assets/embedded-1/model.safetensors"} <= set(files)
    assert not any(name.startswith(("tests/", ".ci/")) for name in files)
    assert sum(files.values()) < 40_000_000


def test_a_directory_without_git_is_refused(repository):
    shutil.rmtree(repository / ".git")
    with pytest.raises(LLMCompError, match="run this in a checkout"):
        deploy.plan(card.read(repository))


@dataclass
class FakeClient:
    """A Space that works, unless told otherwise."""

    broken: str = ""
    names: tuple[str, ...] = ("embedded", "nano")

    def endpoints(self) -> list[str]:
        return [] if self.broken == "endpoints" else list(smoke.ENDPOINTS)

    def call(self, endpoint: str, *values: Any) -> Any:
        if endpoint == "/list_models":
            return [{"name": name, "offered": True} for name in self.names]
        if endpoint == "/compress_text":
            if values[1] not in self.names and self.broken != "lenient":
                raise hub.RefusedError("not a choice here")
            return {"blob": "QUJDREVGR0hJSktMTU5PUA=="}
        if values[0] != "QUJDREVGR0hJSktMTU5PUA==":
            raise hub.RefusedError("damaged")
        return {"text": "other" if self.broken == "text" else smoke._TEXT}


@dataclass
class FakeHub:
    """Records what it is asked; the boundary to everything outside."""

    calls: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    commits: bool = True
    runtime: hub.Runtime = field(default_factory=lambda: hub.Runtime("RUNNING", "zero-a10g"))

    def has_commit(self, repository: str, revision: str) -> bool:
        self.calls.append(f"has {repository}@{revision}")
        return self.commits

    def create(self, repo_id: str, **settings: Any) -> str:
        self.calls.append(f"create {repo_id}")
        self.settings = settings
        return f"https://huggingface.co/spaces/{repo_id}"

    def upload(self, repo_id: str, folder: Path, message: str) -> str:
        self.calls.append(f"upload {message.split()[0]}")
        paths = [path for path in folder.rglob("*") if path.is_file()]
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
        return "f" * 40

    def wait(self, repo_id: str, commit: str, timeout_s: float) -> hub.Runtime:
        self.calls.append(f"wait {commit[:3]}")
        return self.runtime

    def client(self, repo_id: str) -> FakeClient:
        self.calls.append("client")
        return FakeClient()


def test_a_deployment_goes_its_whole_way(repository):
    changed(repository, deploy={"secrets": ["A_TOKEN"], "models": ["smollm2-135m"]})
    commit(repository)
    space, there = card.read(repository), FakeHub()
    lines = list(deploy.deploy(space, "me/demo", there, {"A_TOKEN": "hush", "OTHER": "x"}))
    assert there.calls == [
        f"has {REGISTRY['smollm2-135m'].source}",
        "create me/demo",
        "upload llmcomp",
        "wait fff",
        "client",
    ]
    assert there.settings["secrets"] == {"A_TOKEN": "hush"}
    assert there.settings["hardware"] == "zero-a10g"
    assert there.settings["variables"]["LLMCOMP_MODELS"] == "smollm2-135m"
    assert there.files["requirements.txt"] == space.requirements().encode()
    assert not any("hush" in text for text in (*lines, *map(str, there.files.values())))
    assert lines[-1] == "a model it does not offer is refused"


@pytest.mark.parametrize(
    ("there", "words", "last"),
    [
        (FakeHub(commits=False), "has no commit", "has"),
        (FakeHub(runtime=hub.Runtime("BUILD_ERROR", "", "a\nb\n")), "BUILD_ERROR; b", "wait"),
    ],
)
def test_a_deployment_that_fails_says_where(repository, there, words, last):
    with pytest.raises(hub.HubError, match=words):
        list(deploy.deploy(card.read(repository), "me/demo", there, {}))
    assert there.calls[-1].startswith(last)


def test_nothing_is_asked_of_the_hub_while_something_is_wrong_here(repository):
    there = FakeHub()
    (repository / "app.py").write_text("changed", encoding="utf-8")
    with pytest.raises(LLMCompError, match="not committed"):
        list(deploy.deploy(card.read(repository), "me/demo", there, {}))
    space = changed(repository, deploy={"secrets": ["A_TOKEN"]})
    commit(repository)
    with pytest.raises(LLMCompError, match="no value for the secrets A_TOKEN"):
        list(deploy.deploy(space, "me/demo", there, {}))
    space = changed(repository, deploy={"hardware": "t5"})
    with pytest.raises(LLMCompError, match="hardware is 't5'"):
        list(deploy.deploy(space, "me/demo", there, {}))
    assert there.calls == []


def test_the_real_hub_is_asked_in_its_own_words(monkeypatch, tmp_path):
    """Against the signatures of huggingface_hub itself; nothing leaves this machine."""
    api = create_autospec(huggingface_hub.HfApi, instance=True)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(hub, "_POLL_S", 0.0)
    there = hub.RealHub()
    api.get_space_runtime.return_value.requested_hardware = "cpu-basic"
    there.create(
        "me/demo",
        hardware="t4-small",
        sleep_time=600,
        private=True,
        variables={"A": "1"},
        secrets={"B": "2"},
    )
    api.create_repo.assert_called_once()
    api.add_space_variable.assert_called_once_with("me/demo", "A", "1")
    api.add_space_secret.assert_called_once_with("me/demo", "B", "2")
    api.request_space_hardware.assert_called_once_with("me/demo", SpaceHardware.T4_SMALL)
    api.set_space_sleep_time.assert_called_once_with("me/demo", 600)

    api.upload_folder.return_value.oid = "c" * 40
    assert there.upload("me/demo", tmp_path, "words") == "c" * 40
    assert api.upload_folder.call_args.kwargs["delete_patterns"] == "*"

    old, new = (SimpleNamespace(stage="RUNNING", hardware="t4-small", raw={"sha": s}) for s in "ab")
    api.wait_for_space.side_effect = [old, old, new]
    assert there.wait("me/demo", "b", 60.0) == hub.Runtime("RUNNING", "t4-small")
    assert api.wait_for_space.call_count == 3, "the version before does not count"
    broken = SimpleNamespace(stage="BUILD_ERROR", hardware=None, raw={})
    api.wait_for_space.side_effect = [broken]
    api.fetch_space_logs.return_value = ["one\n", "two\n"]
    assert there.wait("me/demo", "b", 60.0) == hub.Runtime("BUILD_ERROR", "", "one\ntwo\n")

    assert there.has_commit("owner/name", "f" * 40)
    gone = errors.RevisionNotFoundError("404", response=httpx.Response(404, request=REQUEST))
    api.model_info.side_effect = gone
    assert not there.has_commit("owner/name", "f" * 40)
    api.model_info.side_effect = OSError("no route\nto host")
    with pytest.raises(hub.HubError, match="OSError: no route; check the name") as caught:
        there.has_commit("owner/name", "f" * 40)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("endpoints", "has no endpoint"),
        ("text", "came back as another"),
        ("lenient", "must be refused"),
    ],
)
def test_a_space_that_does_not_work_is_found_out(broken, words):
    with pytest.raises(hub.HubError, match=words):
        list(smoke.smoke(FakeClient(broken)))


def test_the_command_line_checks_and_lists(capsys):
    assert cli.main(["space", "check"]) == 0
    assert cli.main(["space", "deploy", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "(rendered)" in shown and "torch>=2.8" in shown
    assert cli.main(["space", "deploy"]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err
