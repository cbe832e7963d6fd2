"""The page as programs see it: its API by Python's client and by plain HTTP, and its MCP tools."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from conftest import ROOT

import llmcomp.models
from llmcomp.space import smoke
from llmcomp.space.hub import HubError, RealHub, RefusedError
from llmcomp.ui import layout

TINY = Path(__file__).parent / "models" / "tiny"
TEXT = "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not.\n" * 4


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assets = tmp_path_factory.mktemp("assets")
    for name in ("embedded-1", "nano-1"):
        (assets / name).symlink_to(TINY, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setattr(llmcomp.models, "ASSETS", assets)
        demo = layout.build_demo({"v": "view/1", "n": 0, "note": "no hero in this test"})
        options = layout.launch_options()
        _, address, _ = demo.launch(prevent_thread_lock=True, quiet=True, **options)
        yield address
        demo.close()


def post(url: str, body: object, **headers: str) -> str:
    asked = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    return urllib.request.urlopen(asked, timeout=30).read().decode()


def test_the_smoke_test_passes_on_a_page_that_works(url: str) -> None:
    lines = list(smoke.smoke(RealHub().client(url)))
    assert lines[1] == "it offers embedded, nano"
    assert lines[-1] == "a model it does not offer is refused"


def documented(language: str, url: str) -> str:
    """A snippet of docs/space.md, asking the page under test instead of a Space."""
    text = (ROOT / "docs" / "space.md").read_text(encoding="utf-8")
    first_line = {"python": "from gradio_client import Client", "": "SPACE=https://"}[language]
    found = re.search(rf"```{language}\n({re.escape(first_line)}.*?)```", text, re.DOTALL)
    assert found
    page = url.rstrip("/")
    return found[1].replace("https://OWNER-NAME.hf.space", page).replace("OWNER/NAME", page)


def test_the_documented_python_works_as_it_stands(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(documented("python", url), {})
    assert "The quick brown fox\n" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_documented_curl_works_as_it_stands(url: str) -> None:
    done = subprocess.run(
        ["bash", "-c", documented("", url)], capture_output=True, text=True, timeout=60, check=True
    )
    event, data = done.stdout.split("\n", 1)
    assert event == "event: complete"
    packed = json.loads(data.removeprefix("data: "))[0]
    assert llmcomp.decompress(base64.b64decode(packed["blob"])) == b"The quick brown fox"


def test_a_space_that_cannot_be_reached_is_one_line(url: str) -> None:
    with pytest.raises(HubError, match="the Hub or the Space says") as caught:
        RealHub().client("http://127.0.0.1:9/")
    assert "\n" not in str(caught.value)
    with pytest.raises(RefusedError, match="nothing to decode yet"):
        RealHub().client(url).call("/decompress_text", "")


def test_plain_http_will_do(url: str) -> None:
    """What docs/space.md shows for curl."""

    def called(name: str, **values: str) -> Any:
        event = json.loads(post(f"{url}gradio_api/call/v2/{name}", values))["event_id"]
        there = f"{url}gradio_api/call/{name}/{event}"
        lines = urllib.request.urlopen(there, timeout=30).read().decode().splitlines()
        assert lines[0] == "event: complete", lines
        return json.loads(lines[1].removeprefix("data: "))[0]

    packed = called("compress_text", text=TEXT, preset="small")
    assert packed["bytes"] == len(base64.b64decode(packed["blob"])) < packed["raw_bytes"]
    assert packed["bits_per_byte"] == pytest.approx(8 * packed["bytes"] / len(TEXT), abs=1e-4)
    restored = called("decompress_text", blob=packed["blob"])
    assert restored["text"] == TEXT
    assert base64.b64decode(restored["data"]) == TEXT.encode()


def test_language_models_have_three_tools(url: str) -> None:
    tools = json.load(urllib.request.urlopen(f"{url}gradio_api/mcp/schema", timeout=30))
    assert {f"/{tool['name']}" for tool in tools} == set(smoke.ENDPOINTS)
    assert all(tool["description"] for tool in tools)
    asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "compress_text", "arguments": {"text": TEXT}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    answer = post(f"{url}gradio_api/mcp/", asked, **accept)
    body = answer.partition("data: ")[2] or answer
    content = json.loads(body)["result"]["content"][0]["text"]
    assert "blob" in content and "bits_per_byte" in content
