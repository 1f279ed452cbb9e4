"""What the check process grants: to the submission's objects, and to the submission on objects of the tests.

An object of a student's own class may judge a value of the tests (compare, compute with it, get it as the argument of
a method) only in check cells where the model solution's objects do so too. Where the model gives plain values, a
student's object compares to nothing. A change in an argument that the model does not make is taken over at first, so
that a check can see it, and then undone: the cell runs again with its arguments protected, and a condition must hold
both times.
"""

from __future__ import annotations

import io
import random
import sys
import types
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from . import tables
from .library import Library, may_call
from .peer import replace

_ABSENT: Any = object()
_LISTS = (list, dict, set, bytearray)
_CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, types.GeneratorType)


class Guard:
    """The rules of the check process. `policy` names what the model does, cell by cell; None while it is recorded."""

    def __init__(self, filename: str, policy: Mapping[int, frozenset[str]] | None) -> None:
        self.filename = filename
        self._policy = policy
        self.library = Library()
        self._cell = -1
        self._before: list[tuple[Any, Any]] = []
        self._set: list[tuple[Any, str, Any]] = []
        self._new: list[tuple[Any, str]] = []
        self.used: set[str] = set()
        self.limits: list[tuple[str, str]] = []
        self.protect = False

    def begin(self, cell: int) -> None:
        """Reset the notes before a cell runs."""
        self._cell = cell
        self.used = set()
        self.limits = []
        self._before = []
        self._set = []
        self._new = []
        self.protect = False

    @property
    def changed(self) -> bool:
        """Whether arguments were changed that the model does not change."""
        return bool(self._before or self._set)

    def undo(self) -> None:
        """Restores the changed arguments, and protects them from now on."""
        for target, content in reversed(self._before):
            replace(target, content)
        for target, name, value in reversed(self._set):
            setattr(target, name, value)
        self._before, self._set = [], []
        self.protect = True

    def _granted(self, group: str) -> bool:
        return self._policy is None or group in self._policy.get(self._cell, frozenset())

    def may(self, group: str) -> bool:
        granted = self._granted(group)
        if granted:
            self.used.add(group)
        return granted

    def changes(self, target: object) -> bool:
        if self._granted("change"):
            self.used.add("change")
            return True
        if self.protect:
            return False
        if not any(each is target for each, _ in self._before):
            self._before.append((target, _content(target)))
        return True

    def note(self, what: str, detail: str) -> None:
        self.limits.append((what, detail))

    def calling(self, target: object) -> AbstractContextManager[None]:
        return self.library.calling(target)

    def permits(self, operation: str, target: object, name: str) -> bool:
        if operation == "call":
            return callable(target) and may_call(target)
        if operation in ("next", "isinstance", "issubclass"):
            return True
        kind = type(target)
        own = kind.__module__ == "__main__" or (isinstance(target, type) and target.__module__ == "__main__")
        if operation == "op":
            shown = isinstance(target, BaseException) and name in ("__str__", "__repr__")
            return own or shown or name in ("__iter__", "__hash__")
        if name.startswith("_"):
            return name == "__name__" and isinstance(target, (*_CODE, type)) and operation == "getattr"
        if own and operation == "setattr":
            return self._sets(target, name)
        if own:
            return operation in ("getattr", "dir")
        return operation == "getattr" and isinstance(target, _tools())

    def _sets(self, target: Any, name: str) -> bool:
        """Whether an attribute of an instructor's object may be set, by the rule of `changes`. An attribute of a class,
        which other checks use too, or one in the place of a method never may. A new attribute is no change."""
        if isinstance(target, type) or callable(getattr(type(target), name, None)):
            return False
        value = getattr(target, name, _ABSENT)
        if value is _ABSENT:
            self._new.append((target, name))
        if any(each is target and known == name for each, known in self._new):
            return True
        if self._granted("change"):
            self.used.add("change")
            return True
        if not self.protect:
            self._set.append((target, name, value))
        return not self.protect


def _tools() -> tuple[type, ...]:
    """Objects of libraries that a check may hand to a student's function: sources of randomness and text streams."""
    numpy: Any = sys.modules.get("numpy")
    more = (numpy.random.Generator, numpy.random.RandomState) if numpy is not None and hasattr(numpy, "random") else ()
    return (random.Random, io.StringIO, io.BytesIO, *more)


def _content(value: Any) -> Any:
    if isinstance(value, _LISTS) or hasattr(value, "extendleft"):
        return value.copy()
    return tables.copy(value)
