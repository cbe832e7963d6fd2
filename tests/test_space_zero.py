"""Jobs under the real ``spaces`` package, as far as a machine without a GPU can go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hub_cache
import pytest

pytest.importorskip("spaces")

HERE = Path(__file__).parent


def test_a_job_goes_through_spaces_own_wrappers(checkpoints: dict[str, Path], tmp_path: Path):
    hub_cache.fill(tmp_path, {"llama": checkpoints["llama"]})
    done = subprocess.run(
        [sys.executable, str(HERE / "zero_gpu.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == ["cuda", "cuda:0"], "weights are placed before the first loan"
    assert found["text"], "what was compressed on the lent GPU comes back"
    assert found["asked"] == [15, 15, 15, 80, 15]
    assert found["failed"] == [False] * 5, "an expected error is no failed loan"
    assert found["words"] == "in my own words"
    assert found["own_process"] and found["worker_used_again"]
