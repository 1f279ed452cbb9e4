#!/usr/bin/env python3
"""Measures mograder beside the published one and beside what the machine can do, in one run.

    python3 benchmarks/run.py                  everything, some ten minutes; writes docs/performance.md and its plot
    python3 benchmarks/run.py --quick          every case once, small: does it work?
    python3 benchmarks/run.py --case rush      one case (may be repeated); --rounds 3; --folder DIR: on another disk

Needs what tools/test.py needs; wrk, nginx and strace come from Debian where they may be installed.
"""
# ruff: noqa: S603  (it runs programs)

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BENCHMARK = ROOT / ".venv-benchmark"


def main() -> int:
    """Bring the environments, then measure with the Python of the one that has mograder in it."""
    found = importlib.util.spec_from_file_location("tools_test", ROOT / "tools" / "test.py")
    assert found is not None
    assert found.loader is not None
    tools = importlib.util.module_from_spec(found)
    found.loader.exec_module(tools)
    tools.bring_debian_packages()
    if not tools.install(BENCHMARK, ["--editable", ".[grading,postgres]", "--group", "benchmark"]):
        print("the packages that the benchmarks need could not be installed: see pip's message above")
        return 1
    environment = dict(os.environ)
    if "MOGRADER_PUBLISHED" not in environment and (client := tools.published_client()) is not None:
        environment["MOGRADER_PUBLISHED"] = str(client)
    command = [str(tools.program(BENCHMARK, "python")), str(HERE / "measure.py"), *sys.argv[1:]]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
