"""`mograder demo`: the course it makes, and the loop it walks by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mograder", *words], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_check_walks_the_whole_loop_through_the_real_command_line(tmp_path: Path) -> None:
    ran = run("demo", "--check", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAILED" not in ran.stdout
    assert "15 of 15 steps held" in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = run("demo", ".", cwd=tmp_path)
    assert ran.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
