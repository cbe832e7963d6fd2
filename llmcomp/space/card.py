"""``spaces.yaml``: the single source of the Space's card, requirements and deployment.

In: the repository's ``spaces.yaml``, ``README.md`` and ``requirements.txt``. Out: the YAML block
that the Hub reads on top of README.md, the requirements it installs, and every fault in one line
each. Asks nobody: what only the Hub can know is checked when deploying.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from llmcomp.errors import LLMCompError
from llmcomp.models.registry import REGISTRY, Registered
from llmcomp.space.hardware import FLAVOURS, ZERO

__all__ = ["SpaceFile", "read", "sync"]

NAME = "spaces.yaml"

_TEXT = {
    "title",
    "emoji",
    "colorFrom",
    "colorTo",
    "sdk",
    "sdk_version",
    "python_version",
    "app_file",
    "short_description",
    "header",
    "license",
    "thumbnail",
    "startup_duration_timeout",
    "suggested_hardware",
    "base_path",
}
_FLAGS = {"fullWidth", "pinned", "disable_embedding", "hf_oauth"}
_LISTS = {"tags", "datasets"}
_DERIVED = {"models", "preload_from_hub"}
_NEEDED = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version")
_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_LONGEST_DESCRIPTION = 60  # characters; the Hub refuses a commit with more
_FORMS = {
    "sdk_version": r"\d+\.\d+\.\d+",
    "python_version": r"3\.\d+(\.\d+)?",
    "startup_duration_timeout": r"\d+[mh]",
    "header": r"mini|default",
    "sdk": r"gradio",
}
_DEPLOY: dict[str, type | UnionType] = {
    "hardware": str,
    "sleep_time": int | None,
    "private": bool,
    "models": list,
    "torch": str,
    "preinstalled": list,
    "variables": dict,
    "secrets": list,
    "leave_out": list,
}
_SHORTEST_SLEEP_S = 300
_MEMORY_SHARE = 0.8  # of the machine's, for the weights of all models together
_ZERO_PYTHON = ("3.10", "3.12")
_ZERO_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
"""What ZeroGPU runs (hub-docs, August 2026); the Space's torch pin must allow one of them."""

_PRELOADED = "config.json,model.safetensors,tokenizer.json"
_FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(\[[^]]*\])?\s*(==\s*(\S+))?")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class SpaceFile:
    """What ``spaces.yaml`` says, as it stands there.

    Attributes:
        root: the repository.
        card: keys of the Hub's YAML block, but for those that follow from ``models``.
        hardware: flavour of the machine, as the Hub calls it.
        sleep_time: seconds without a visitor until the Space sleeps, None for the Hub's own rule.
        private: whether only its owner sees it.
        models: registered models that it offers beside the shipped ones.
        torch: which versions of torch it takes, ``>=2.8``.
        preinstalled: packages that the Hub brings along, in the versions of the card.
        variables: public settings of its environment.
        secrets: names of hidden ones; their values never stand in a file.
        leave_out: patterns of files that are not uploaded.
    """

    root: Path
    card: Mapping[str, Any]
    hardware: str
    sleep_time: int | None = None
    private: bool = False
    models: Sequence[str] = ()
    torch: str = ""
    preinstalled: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    leave_out: Sequence[str] = ()

    @property
    def registered(self) -> list[Registered]:
        """The registry's entries of its models, as far as they exist."""
        return [REGISTRY[name] for name in self.models if name in REGISTRY]

    @property
    def front_matter(self) -> dict[str, Any]:
        """The card with what follows from the models: each with its commit, fetched at build."""
        models = self.registered
        if not models:
            return dict(self.card)
        return {
            **self.card,
            "models": [model.repository for model in models],
            "preload_from_hub": [
                f"{model.repository} {_PRELOADED} {model.revision}" for model in models
            ],
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables, and which models the app is to offer."""
        return {**self.variables, "LLMCOMP_MODELS": ",".join(self.models)}

    def block(self) -> str:
        """Renders the YAML block, its fences included."""
        text = yaml.safe_dump(
            self.front_matter, allow_unicode=True, sort_keys=False, width=1000, indent=2
        )
        return f"---\n{text}---\n"

    def requirements(self) -> str:
        """Renders what the Space installs: local pins without the Hub's own, torch as it may be."""
        lines = ["# Rendered from spaces.yaml and requirements.txt for the Space."]
        for line in _requirement_lines(self.root):
            name = _name_of(line)
            if name in self.preinstalled:
                continue
            lines.append(f"torch{self.torch}" if name == "torch" and self.torch else line)
        return "\n".join(lines) + "\n"

    def problems(self) -> list[str]:
        """Lists everything that is wrong with it, one line each; none if it may go up."""
        return [
            *_card_problems(self.card),
            *self._files_problems(),
            *self._deploy_problems(),
            *self._version_problems(),
        ]

    def _files_problems(self) -> list[str]:
        found = []
        app = self.card.get("app_file", "app.py")
        if not (self.root / str(app)).is_file():
            found.append(f"card: app_file is {app!r}; there is no such file")
        readme = (self.root / "README.md").read_text(encoding="utf-8")
        if not readme.startswith(self.block()):
            found.append(
                f"README.md does not begin with the card of {NAME}; run python -m llmcomp "
                "space sync"
            )
        return found

    def _deploy_problems(self) -> list[str]:
        found = []
        if self.hardware not in FLAVOURS:
            known = ", ".join(FLAVOURS)
            found.append(f"deploy: hardware is {self.hardware!r}; wanted one of {known}")
        for name in self.models:
            if name not in REGISTRY:
                known = ", ".join(REGISTRY)
                found.append(f"deploy: model {name!r} is not registered; wanted some of {known}")
            elif REGISTRY[name].revision is None:
                found.append(f"deploy: model {name!r} has no pinned commit; take another")
        machine = FLAVOURS.get(self.hardware)
        weights = sum(model.weight_bytes(machine.dtype) for model in self.registered if machine)
        if machine and weights > _MEMORY_SHARE * machine.memory_bytes:
            found.append(
                f"deploy: the models weigh {weights / 1e9:.0f} GB, too much for {machine.label} "
                f"with {machine.memory_bytes / 1e9:.0f}; offer fewer"
            )
        for name in (*self.variables, *self.secrets):
            if not _VARIABLE.fullmatch(name):
                found.append(f"deploy: {name!r} is no name of a variable; wanted as in A_NAME")
        for name, value in self.variables.items():
            if not isinstance(value, str):
                found.append(f"deploy: variable {name} is {value!r}; put it in quotes")
        for name in set(self.variables) & set(self.secrets):
            found.append(f"deploy: {name} is a variable and a secret; variables are public")
        if self.sleep_time is not None and self.sleep_time < _SHORTEST_SLEEP_S:
            found.append(
                f"deploy: sleep_time is {self.sleep_time}; wanted {_SHORTEST_SLEEP_S} s or more"
            )
        return found

    def _version_problems(self) -> list[str]:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        found = []
        pins = {_name_of(line): _pin_of(line) for line in _requirement_lines(self.root)}
        wanted, local = self.card.get("sdk_version"), pins.get("gradio")
        if wanted != local:
            found.append(
                f"card: sdk_version is {wanted!r}, but requirements.txt pins gradio {local}; "
                "make them equal"
            )
        for name in self.preinstalled:
            if name not in pins:
                found.append(f"deploy: preinstalled {name!r} is not in requirements.txt")
        try:
            torch = SpecifierSet(self.torch)
        except InvalidSpecifier:
            found.append(f"deploy: torch is {self.torch!r}; wanted a version range, as >=2.8")
            return found
        if not torch.contains(pins.get("torch") or ""):
            found.append(
                f"deploy: torch {self.torch} leaves out {pins.get('torch')}, which the tests run"
            )
        if self.hardware != ZERO:
            return found
        if not any(torch.contains(version) for version in _ZERO_TORCH):
            found.append(f"deploy: torch {self.torch}; ZeroGPU runs {', '.join(_ZERO_TORCH)}")
        python = str(self.card.get("python_version"))
        if not python.startswith(_ZERO_PYTHON):
            found.append(f"card: python_version is {python}; ZeroGPU runs {_ZERO_PYTHON}")
        return found


def read(root: Path) -> SpaceFile:
    """Reads a repository's ``spaces.yaml``.

    Raises:
        LLMCompError: if there is none, or it has not the two sections or keys it should.
    """
    path = root / NAME
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LLMCompError(f"there is no {path}; run this in the repository") from None
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise LLMCompError(f"{path} is not YAML: {line}") from None
    if not isinstance(found, dict) or set(found) != {"card", "deploy"}:
        raise LLMCompError(f"{path} has not the sections card and deploy, and these alone")
    card, deploy = found["card"], found["deploy"]
    if not isinstance(card, dict) or not isinstance(deploy, dict):
        raise LLMCompError(f"{path}: card and deploy have to hold keys and values")
    unknown = sorted(set(deploy) - set(_DEPLOY))
    if unknown:
        raise LLMCompError(
            f"{path}: deploy has unknown keys {', '.join(unknown)}; known: " + ", ".join(_DEPLOY)
        )
    for key, value in deploy.items():
        if not isinstance(value, _DEPLOY[key]):
            raise LLMCompError(f"{path}: deploy: {key} is {value!r}; wanted {_DEPLOY[key]}")
    if "hardware" not in deploy:
        raise LLMCompError(f"{path}: deploy names no hardware; wanted one of {', '.join(FLAVOURS)}")
    return SpaceFile(root=root, card=card, **deploy)


def sync(space: SpaceFile) -> bool:
    """Writes the card on top of README.md, in the place of the block that stands there.

    Returns:
        Whether anything changed.
    """
    path = space.root / "README.md"
    old = path.read_text(encoding="utf-8")
    new = space.block() + _FRONT.sub("", old, count=1)
    if new == old:
        return False
    path.write_text(new, encoding="utf-8")
    return True


def _card_problems(card: Mapping[str, Any]) -> list[str]:
    found = [f"card: {key} is missing" for key in _NEEDED if key not in card]
    for key, value in card.items():
        if key in _DERIVED:
            found.append(f"card: {key} follows from deploy: models; leave it out")
        elif key in _TEXT and not isinstance(value, str):
            found.append(f"card: {key} is {value!r}; put it in quotes")
        elif key in _FLAGS and not isinstance(value, bool):
            found.append(f"card: {key} is {value!r}; wanted true or false")
        elif key in _LISTS and not (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        ):
            found.append(f"card: {key} is {value!r}; wanted a list of words")
        elif key not in _TEXT | _FLAGS | _LISTS:
            found.append(f"card: {key!r} is no key that this project uses; the Hub may ignore it")
    for key, form in _FORMS.items():
        value = card.get(key)
        if isinstance(value, str) and not re.fullmatch(form, value):
            found.append(f"card: {key} is {value!r}; wanted the form {form}")
    for key in ("colorFrom", "colorTo"):
        if isinstance(card.get(key), str) and card[key] not in _COLOURS:
            found.append(f"card: {key} is {card[key]!r}; wanted one of {', '.join(_COLOURS)}")
    length = len(str(card.get("short_description", "")))
    if length > _LONGEST_DESCRIPTION:
        found.append(
            f"card: short_description has {length} characters; the Hub takes {_LONGEST_DESCRIPTION}"
        )
    suggested = card.get("suggested_hardware")
    if isinstance(suggested, str) and suggested not in FLAVOURS:
        found.append(
            f"card: suggested_hardware is {suggested!r}; wanted one of {', '.join(FLAVOURS)}"
        )
    return found


def _requirement_lines(root: Path) -> list[str]:
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _name_of(line: str) -> str:
    found = _REQUIREMENT.match(line)
    return found[1] if found else line


def _pin_of(line: str) -> str | None:
    found = _REQUIREMENT.match(line)
    return found[4] if found else None
