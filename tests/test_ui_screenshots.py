"""The pictures in the README are there, small, and of every page, theme and width."""

from __future__ import annotations

import re

from conftest import ROOT
from PIL import Image

from llmcomp.ui import screenshots

WHOLE_BYTES = 1_000_000
FILM_BYTES = 3_000_000


def test_every_page_is_pictured_in_both_themes_and_widths() -> None:
    wanted = {
        screenshots.name_of(page, theme, shape): size
        for page in screenshots.PAGES
        for theme in screenshots.THEMES
        for shape, size in screenshots.SHAPES.items()
    }
    found = {path.name: path for path in screenshots.FOLDER.iterdir()}
    film = found.pop(screenshots.FILM)
    assert found.keys() == wanted.keys()
    assert film.stat().st_size < FILM_BYTES
    with Image.open(film) as picture:
        assert picture.format == "WEBP"
        assert picture.n_frames > 100
    assert sum(path.stat().st_size for path in found.values()) < WHOLE_BYTES
    for name, size in wanted.items():
        with Image.open(found[name]) as picture:
            assert (picture.format, picture.size) == ("WEBP", size)


def test_the_readme_opens_with_the_film() -> None:
    shown = re.search(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert shown is not None
    assert shown[1] == f"assets/screenshots/{screenshots.FILM}"


def test_pictures_that_documents_show_exist() -> None:
    for document in (ROOT / "README.md", ROOT / "docs" / "app.md"):
        shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", document.read_text("utf-8"))
        assert len(shown) >= 2
        assert all((document.parent / path).is_file() for path in shown)
