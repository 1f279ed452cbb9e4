"""What runs inside the sandbox: the standard library alone, so that any environment of an instructor's can run it.

The folder is mounted as a package of its own; nothing here imports the rest of mograder. What the answer process sends
is never trusted: `values` and `references` are where it is taken apart.
"""
