"""The benchmarks run: every case, small, with all that they check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import environment

MEASURE = Path(__file__).parents[2] / "benchmarks" / "measure.py"


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory and flushes in /proc")
def test_every_case_is_measured_and_every_check_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, MEASURE, "--quick", "--folder", tmp_path], env=environment(), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for title in ("rush: 500 students", "storm", "start until", "--help", "flushes of the disk", "one writer"):
        assert title in done.stdout
    assert list(tmp_path.iterdir()) == []
