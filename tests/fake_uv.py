"""A fake uv that downloads nothing: it makes a virtual environment with the packages of this Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mograder.grading import environment

PROGRAM = """#!{python}
import glob, os, subprocess, sys, pathlib
with open({log!r}, "a") as file:
    file.write(" ".join([*sys.argv[1:3], *(name for name in os.environ if name.startswith("MOGRADER_"))]) + "\\n")
if sys.argv[1] == "venv":
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", sys.argv[-1]], check=True)
    (packages,) = glob.glob(sys.argv[-1] + "/lib/python*/site-packages")
    pathlib.Path(packages, "these.pth").write_text("\\n".join({path!r}))
asked = " ".join(open(each).read() for each in sys.argv if each.endswith(".in"))
if "broken-package" in asked:
    sys.exit("no solution found: broken-package")
if "slow-package" in asked:
    open({pipe!r}).read()
if sys.argv[2] == "install" and "not-for-this-platform" in open(sys.argv[-1]).read():
    sys.exit("no wheel for this platform")
if sys.argv[2] == "compile":
    pathlib.Path(sys.argv[-1]).write_text("marimo==1 --hash=sha256:00\\n")
"""


def put_fake_uv(folder: Path, monkeypatch: pytest.MonkeyPatch, pipe: Path | None = None) -> Path:
    """Put it in place of uv. Returns the file to which it writes one line for each call.

    A request for "broken-package" fails; one for "slow-package" waits until the test writes to the named pipe `pipe`.
    """
    program, log = folder / "uv", folder / "calls"
    path = [each for each in sys.path if each]
    program.write_text(PROGRAM.format(python=sys.executable, log=str(log), path=path, pipe=str(pipe)))
    program.chmod(0o755)
    monkeypatch.setattr(environment, "_uv_program", lambda: str(program))
    return log
