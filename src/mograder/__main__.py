"""`python -m mograder` is `mograder`."""

from mograder.cli import main

main()
