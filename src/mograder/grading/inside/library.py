"""Calls of a submission into libraries, in the check process: a check may hand over `numpy.sin` or `numpy.loadtxt`.

Invariant: such a call opens no file, runs no other code and starts no program. Functions and classes of the tests may:
their author wrote what they do.
"""

from __future__ import annotations

import functools
import io
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = ("open", "exec", "compile", "import", "marshal.", "pickle.", "os.", "subprocess.", "socket.", "shutil.",
           "ctypes.", "sqlite3.", "glob.", "tempfile.", "pathlib.", "fcntl.", "mmap.", "gc.", "winreg.",
           "code.__new__", "sys.add", "sys._current", "sys.set", "urllib.", "http.", "ftplib.", "smtplib.", "builtins.",
           "resource.", "signal.", "webbrowser.", "cpython.")  # fmt: skip
"""Audit events of Python that such a call must not cause."""

_FORBIDDEN = frozenset((
    "ast", "asyncio", "codecs", "concurrent", "ctypes", "fcntl", "gc", "glob", "importlib", "inspect", "io",
    "linecache", "marshal", "mmap", "multiprocessing", "nt", "os", "pathlib", "pickle", "posix", "pty", "resource",
    "runpy", "shelve", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "weakref",
    "_thread", "_io", "_posixsubprocess", "_socket", "_pickle", "_ctypes",
))  # fmt: skip
"""Modules none of whose functions is called for a submission."""

_NAMES = frozenset((
    "open", "eval", "exec", "compile", "__import__", "getattr", "setattr", "delattr", "hasattr", "vars", "dir",
    "globals", "locals", "type", "input", "breakpoint", "super", "memoryview", "attrgetter", "methodcaller", "exit",
    "quit", "format", "format_map", "vformat",
))  # fmt: skip
"""Functions that read any attribute, through which everything can be reached, or that run text as code."""

_NATIVE = frozenset(("polars", "pyarrow", "duckdb", "h5py", "netCDF4", "lxml", "fastparquet", "adbc_driver_manager"))
"""Packages that open files without asking Python."""

_FILES = re.compile("read|scan|write|sink|load|save|open|connect|sql|File|Dataset|parse|dump|to_|from_|execute|map$")


def is_own(target: object) -> bool:
    """Whether a callable is of the tests themselves: a function or class of theirs, or a method of such an object."""
    if isinstance(target, types.MethodType):
        return is_own(target.__func__)
    kind = target if isinstance(target, type) else type(target)
    return (target if isinstance(target, types.FunctionType) else kind).__module__ == "__main__"


def may_call(target: object) -> bool:
    """Whether a submission may call this callable at all."""
    while isinstance(target, (functools.partial, types.MethodType)):
        target = target.func if isinstance(target, functools.partial) else target.__func__
    if is_own(target):
        return True
    name = str(getattr(target, "__name__", ""))
    bound = getattr(target, "__self__", None)
    module = str(getattr(target, "__module__", None) or type(bound if bound is not None else target).__module__)
    package = module.partition(".")[0]
    if isinstance(bound, (io.StringIO, io.BytesIO)):
        return True
    if package in _NATIVE and _FILES.search(name):
        return False
    kind = "" if isinstance(target, type) else type(target).__name__
    return package not in _FORBIDDEN and name not in _NAMES and kind not in _NAMES


class Library:
    """Whether a call into a library is running. Call `install` once in a process; the hook cannot be removed."""

    def __init__(self) -> None:
        self._running = False

    def install(self) -> None:
        sys.addaudithook(self._seen)

    def _seen(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._running and event.startswith(_EVENTS):
            raise PermissionError(f"a library's function that a submission calls may not do this: {event}")

    @contextmanager
    def calling(self, target: object) -> Iterator[None]:
        """The block is a submission's call of `target`, or our own work for it (None). The innermost block decides."""
        before, self._running = self._running, target is not None and not is_own(target)
        try:
            yield
        finally:
            self._running = before
