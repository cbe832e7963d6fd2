"""Joins the view's ES modules into one inline script.

In: the files of ``js/``. Out: one ``<script>`` element for the head of the page, where it runs
before any component mounts, under any root path, embedded or offline. Knows nothing of gradio.
Joining is plain concatenation: names are unique across modules (a test holds that), so import and
export lines can simply go.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from llmcomp.ui.words import in_browser

__all__ = ["MODULES", "head", "joined", "style"]

_HERE = Path(__file__).parent

MODULES = (
    "wire",
    "label",
    "camera",
    "scene",
    "words",
    "say",
    "store",
    "dom",
    "tape",
    "needle",
    "ruler",
    "play",
    "keys",
    "ladder",
    "machine",
    "colours",
    "language",
    "theme",
    "head",
    "share",
    "arrive",
    "history",
    "microscope",
    "strip",
    "card",
    "table",
    "fork",
    "growth",
    "bytes",
    "damage",
    "floors",
    "tour",
    "windows",
    "status",
    "curve",
    "page",
    "view",
)
"""Order of the modules: each stands after everything that runs while it is loaded."""

_OFFERED = (
    "mountView",
    "mountStatus",
    "mountCurve",
    "mountHead",
    "mountShare",
    "mountHistory",
    "keepDrawn",
    "speak",
    "spoken",
    "arrive",
    "visit",
)
"""What components and events call."""

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_COMMENT = re.compile(r"^\s*//.*\n|^\s*/\*\*(?s:.*?)\*/\n| +// .*$", re.MULTILINE)
_LITERAL = re.compile(
    r'"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`'
    r"|(?:(?<=\()|(?<=[=,] ))/(?![/*])(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n\[])+/"
)
_SPACE = re.compile(
    r"\s*([{};,])\s*|^\s+| *([()\[\]:=<>?&|*]|(?<!\+ )\+(?! ?\+)|(?<!- )-(?! ?-)) *", re.MULTILINE
)


@cache
def joined() -> str:
    """Returns the modules as one script; it leaves one object of functions, ``llmcomp``, behind."""
    sources = ((_HERE / "js" / f"{name}.js").read_text("utf-8") for name in MODULES)
    body = "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
    body = _squeezed(_COMMENT.sub("", body))
    return (
        f'(() => {{\n"use strict";\n{body}\n'
        f"window.llmcomp = {{ {', '.join(_OFFERED)} }};\nopenPage();\n}})();\n"
    )


def _squeezed(source: str) -> str:
    """Drops the spaces that only people need, outside strings, templates and patterns."""
    kept, at = [], 0
    for literal in _LITERAL.finditer(source):
        kept += [_SPACE.sub(r"\1\2", source[at : literal.start()]), literal[0]]
        at = literal.end()
    return "".join([*kept, _SPACE.sub(r"\1\2", source[at:])])


def head() -> str:
    """Returns what goes into the page's head: the style, the words the script says, the script."""
    words = json.dumps(in_browser(), ensure_ascii=False).replace("<", "\\u003c")
    return f"<style>{style()}</style><script>window.llmcompWords = {words};\n{joined()}</script>"


@cache
def style() -> str:
    """Returns the style sheet of the page, without comments and indentation."""
    sheet = (_HERE / "css" / "app.css").read_text("utf-8")
    return re.sub(r"/\*.*?\*/|^\s+|\n\n+", "", sheet, flags=re.MULTILINE | re.DOTALL)
