"""The benchmarks run with all their checks, on a few small cases of every kind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import environment

MEASURE = Path(__file__).parents[2] / "benchmarks" / "measure.py"


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory and flushes in /proc")
def test_the_benchmarks_run_and_all_their_checks_pass(tmp_path: Path) -> None:
    words = [
        f"--case={case}"
        for case in (
            "live submissions",
            "first look",
            "forms",
            "growth",
            "board",
            "status",
            "rush",
            "help",
            "disk",
            "graded rush",
        )
    ]
    done = subprocess.run(
        [sys.executable, MEASURE, "--quick", "--folder", tmp_path, *words], env=environment(), capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for title in (
        "first look at",
        "rush of forms",
        "after one more",
        "board",
        "rush: 500",
        "--help",
        "one writer",
        "with a worker",
    ):
        assert title in done.stdout
    for title in ("list 500 submissions", "500 grades"):
        assert title in done.stdout or not shutil.which("wrk")
    assert list(tmp_path.iterdir()) == []
