"""Runs the command line in this process, which saves the start of an interpreter."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest

from mograder.cli import run
from tests.parts import environment


def run_command(*words: object) -> CompletedProcess[str]:
    """Run `mograder` with these arguments and no settings in the environment."""
    typed, out, err = [str(word) for word in words], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ.keys() - environment().keys():
            patch.delenv(name)
        code = run(typed)
    return CompletedProcess(typed, code, out.getvalue(), err.getvalue())
