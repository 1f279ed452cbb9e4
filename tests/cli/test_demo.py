"""`mograder demo`: the course that it creates, and the workflow that `--check` runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mograder.cli.demo_students import STUDENTS
from tests.parts import free_port


def run(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mograder", *words], cwd=cwd, capture_output=True, text=True, timeout=600,
        env={**os.environ, "HOME": str(cwd), **more},
    )  # fmt: skip


def test_check_runs_the_whole_workflow_through_the_real_command_line(tmp_path: Path) -> None:
    ran = run("demo", "--check", "-p", str(free_port()), cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAILED" not in ran.stdout
    assert "28 of 28 steps held" in ran.stdout
    for each in STUDENTS:
        assert f"ok      {each.name}, {each.does}: {each.points} points\n" in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_the_grading_packages_demo_runs_and_says_how_to_install_them(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "packaging"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('not installed')\n")
    ran = run("demo", "--check", "-p", str(free_port()), cwd=tmp_path, PYTHONPATH=str(absent.parent))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "15 of 15 steps held" in ran.stdout
    assert "nothing was graded: grading needs more packages: pip install '.[grading]' in a checkout" in ran.stdout


def test_demo_refuses_a_folder_that_is_not_empty_and_changes_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = run("demo", ".", cwd=tmp_path)
    assert ran.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
