"""The programs inside the sandbox. They use the standard library alone, so that any instructor's environment runs them.

The folder is mounted as a package of its own; nothing here imports the rest of mograder. What the answer process sends
is never trusted: `values` and `references` check it.
"""
