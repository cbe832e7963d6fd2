"""``python -m llmcomp.evaluate.figures [NAME ...]`` measures the docs' figures and writes them.

A figure is a block between ``<!-- figure:NAME -->`` and ``<!-- /figure -->`` in one of `DOCUMENTS`;
whatever stands between is replaced by what its measurement prints. The command beside each block
gives the same.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from llmcomp.evaluate import bench, context_study, model_study, portability, steering_study
from llmcomp.models import ASSETS, load_model, resolve

ROOT = ASSETS.parent
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs/context.md",
    ROOT / "docs/model.md",
    ROOT / "docs/portability.md",
    ROOT / "docs/steering.md",
)

_BLOCK = re.compile(r"(<!-- figure:([\w-]+) -->\n).*?(<!-- /figure -->)", re.DOTALL)


def measurements() -> Mapping[str, Callable[[], str]]:
    """Names the figures and what measures each."""
    return {
        "model": _model,
        "model-model": _model,
        "steering-model": _model,
        "portability-model": _model,
        "context-model": _model,
        **steering_study.measurements(),
        **portability.measurements(),
        **model_study.measurements(),
        **context_study.measurements(),
        **{
            what: partial(bench.report, [], "embedded", what, as_json=False)
            for what in ("rates", "presets", "speed")
        },
    }


def rewrite(text: str, measured: Mapping[str, str]) -> str:
    r"""Replaces the figures of a document that are rendered here, and leaves the others.

    >>> rewrite("<!-- figure:x -->\nold\n<!-- /figure -->", {"x": "new"})
    '<!-- figure:x -->\nnew\n<!-- /figure -->'
    """

    def block(match: re.Match[str]) -> str:
        found = measured.get(match[2])
        return match[0] if found is None else f"{match[1]}{found}\n{match[3]}"

    return _BLOCK.sub(block, text)


def _model() -> str:
    name = resolve("embedded")
    release = json.loads((ASSETS / name / "release.json").read_text(encoding="utf-8"))
    model = load_model(name)
    return (
        f"Measured with `{name}`, fingerprint `{model.fingerprint.hex()[:16]}`, "
        f"{release['n_parameters']:,} parameters, {release['tokens_seen'] / 1e6:.0f} M training "
        f"tokens on {release['device']}."
    )


def main(names: Sequence[str]) -> None:
    """Rewrites the documents in place: the named figures, or all of them."""
    known = measurements()
    for name in names or known:
        # measured before a document is opened: it takes long, and somebody may be writing; and
        # written at once: the next may fail after hours
        measured = {name: known[name]()}
        for path in DOCUMENTS:
            text = path.read_text(encoding="utf-8")
            path.write_text(rewrite(text, measured), encoding="utf-8")
        sys.stderr.write(f"wrote {name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
