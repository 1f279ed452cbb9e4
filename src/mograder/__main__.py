"""Runs the command `mograder` for `python -m mograder`."""

from mograder.cli import main

main()
