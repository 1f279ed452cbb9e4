"""Objects of the other process: an operation on a reference runs there, and its result is sent back.

A reference never acts by itself: it has only the special methods that the other side's class has, out of a list of
ours, and each asks through `Peer.request`. Operations that could let a student's class judge a value of the
instructor's (comparison, arithmetic, a method with arguments) first ask `Peer.may`.
"""

from __future__ import annotations

import types
from typing import Any, Protocol

COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and",
               "xor", "or")  # fmt: skip
BINARY = tuple(f"__{name}__" for name in _ARITHMETIC)
REFLECTED = {f"__r{name}__": f"__{name}__" for name in _ARITHMETIC}
IN_PLACE = tuple(f"__i{name}__" for name in _ARITHMETIC if name != "divmod")
READING = ("__len__", "__iter__", "__next__", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__neg__",
           "__pos__", "__abs__", "__invert__", "__round__", "__trunc__", "__floor__", "__ceil__", "__reversed__",
           "__getitem__", "__setitem__", "__delitem__", "__enter__", "__exit__")  # fmt: skip
KINDS: dict[str, type] = {
    "function": types.FunctionType, "builtin": types.BuiltinFunctionType, "method": types.MethodType,
    "generator": types.GeneratorType, "coroutine": types.CoroutineType, "code": types.CodeType,
    "module": types.ModuleType, "class": type,
}  # fmt: skip
_HIDDEN = frozenset((
    "__array_ufunc__", "__array_function__", "__array__", "__array_interface__", "__array_struct__",
    "__array_priority__", "__dataframe__", "__arrow_c_stream__", "__reduce__", "__reduce_ex__", "__getstate__",
    "__deepcopy__", "__copy__", "_repr_html_", "_mime_", "_display_",
))  # fmt: skip


def capabilities(kind: type) -> list[str]:
    """The special methods of a class that a reference to its instances gets."""
    found = {name for base in kind.__mro__[:-1] for name in base.__dict__ if name.startswith("__")}
    known = (*READING, *BINARY, *REFLECTED, *IN_PLACE, *COMPARISONS, "__call__", "__contains__", "__hash__")
    return [name for name in known if name in found and getattr(kind, name, None) is not None]


class Owner(Protocol):
    """The end of the conversation that a reference belongs to: peer.Peer."""

    def request(
        self, operation: str, place: int, name: str = "", arguments: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
    ) -> Any: ...  # fmt: skip

    def may(self, group: str) -> bool: ...

    def class_of(self, reference: Reference) -> Any: ...


class Reference:
    """The base of all references. `_peer`, `_place` and so on are slots, read without asking anybody."""

    __slots__ = ("__weakref__", "_kind", "_method", "_name", "_peer", "_place", "_type")
    _peer: Owner
    _place: int
    _kind: str
    _method: bool
    _name: str
    _type: int | None

    def __getattr__(self, name: str) -> Any:
        if name in _HIDDEN or name.startswith(("_mograder", "_ipython", "_repr_")):
            raise AttributeError(name)
        result = self._peer.request("getattr", self._place, name)
        return as_method(result) if isinstance(result, Reference) else result

    def __setattr__(self, name: str, value: object) -> None:
        self._peer.request("setattr", self._place, name, (value,))

    def __delattr__(self, name: str) -> None:
        self._peer.request("delattr", self._place, name)

    def __dir__(self) -> Any:
        return self._peer.request("dir", self._place)

    def __repr__(self) -> str:
        result = self._peer.request("op", self._place, "__repr__")
        return result if type(result) is str else f"<{self._name}>"

    def __str__(self) -> str:
        result = self._peer.request("op", self._place, "__str__")
        return result if type(result) is str else f"<{self._name}>"

    def __format__(self, specification: str) -> str:
        result = self._peer.request("op", self._place, "__format__", (specification,))
        return result if type(result) is str else f"<{self._name}>"

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Reference) and other._place == self._place and other._peer is self._peer:
            return True
        return NotImplemented

    def __hash__(self) -> int:
        return hash(("reference", self._place))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"{self._name} is an object of the submission and cannot be copied")

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for `isinstance` of functions and generators
        kind = object.__getattribute__(self, "_kind")
        if kind in KINDS:
            return KINDS[kind]
        return self._peer.class_of(self) or type(self)


class ReferenceType(type):
    """The class of references to instances of one class; equal to the reference of that class."""

    type_place: int | None = None

    def __eq__(cls, other: object) -> bool:
        if isinstance(other, Reference):
            return cls.type_place is not None and other._place == cls.type_place
        return cls is other

    def __hash__(cls) -> int:
        return type.__hash__(cls)


def _documentation(self: Reference) -> Any:
    return self._peer.request("getattr", self._place, "__doc__")


def _reading(name: str) -> Any:
    def method(self: Reference, *arguments: Any) -> Any:
        return self._peer.request("op", self._place, name, arguments)

    return method


def _length(self: Reference) -> int:
    result = self._peer.request("op", self._place, "__len__")
    if type(result) is not int:
        raise TypeError(f"__len__ of {self._name} gives no int")
    return result


def _next(self: Reference) -> Any:
    return self._peer.request("next", self._place)


def _iterate(self: Reference) -> Any:
    return self._peer.request("op", self._place, "__iter__")


def _true(self: Reference) -> bool:
    result = self._peer.request("op", self._place, "__bool__")
    return result is True


def _gated(name: str, group: str) -> Any:
    def method(self: Reference, *arguments: Any) -> Any:
        if name in ("__eq__", "__ne__") and isinstance(arguments[0], Reference) and arguments[0]._place == self._place:
            return name == "__eq__"
        if not self._peer.may(group):
            if name in ("__contains__",):
                raise TypeError(f"{self._name} is an object of a class of its own: it cannot say what it contains")
            return NotImplemented
        return self._peer.request("op", self._place, name, arguments)

    return method


def _call(self: Reference, *arguments: Any, **named: Any) -> Any:
    if self._method and (arguments or named) and not self._peer.may("method"):
        raise TypeError(f"{self._name} belongs to an object of a class of its own, where a plain value is expected")
    return self._peer.request("call", self._place, "", arguments, named)


def _instance_check(self: Reference, instance: object) -> bool:
    return self._peer.request("isinstance", self._place, "", (instance,)) is True


def _subclass_check(self: Reference, subclass: object) -> bool:
    return self._peer.request("issubclass", self._place, "", (subclass,)) is True


def _methods() -> dict[str, Any]:
    methods = {name: _reading(name) for name in READING}
    methods |= {"__len__": _length, "__next__": _next, "__iter__": _iterate, "__bool__": _true, "__call__": _call}
    methods |= {name: _gated(name, "compare") for name in (*COMPARISONS, "__contains__")}
    methods |= {name: _gated(name, "arithmetic") for name in (*BINARY, *REFLECTED, *IN_PLACE)}
    methods["__hash__"] = _reading("__hash__")
    return methods


_METHODS = _methods()


def reference_type(name: str, names: frozenset[str], is_class: bool, type_place: int | None) -> type[Reference]:
    """A class for references whose other side has these special methods."""
    body = {each: _METHODS[each] for each in names if each in _METHODS}
    if "__eq__" in body:
        body.setdefault("__ne__", _METHODS["__ne__"])
        body.setdefault("__hash__", Reference.__hash__)
    if is_class:
        body |= {"__instancecheck__": _instance_check, "__subclasscheck__": _subclass_check}
    body |= {"__slots__": (), "__module__": "submission", "__doc__": property(_documentation)}
    made: Any = ReferenceType(name, (Reference,), body)
    made.type_place = type_place
    kind: type[Reference] = made
    return kind


def make(kind: type[Reference], peer: Owner, place: int, what: str, name: str, type_place: int | None) -> Reference:
    reference = kind.__new__(kind)
    values = {"_peer": peer, "_place": place, "_kind": what, "_method": False, "_name": name, "_type": type_place}
    for slot, value in values.items():
        object.__setattr__(reference, slot, value)
    return reference


def as_method(reference: Reference) -> Reference:
    """The same reference, as read from an attribute: calling it with arguments is gated."""
    view = make(type(reference), reference._peer, reference._place, reference._kind, reference._name, reference._type)
    object.__setattr__(view, "_method", True)
    return view
