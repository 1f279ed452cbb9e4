"""Plain values as JSON and bytes, and back: rebuilt as genuine objects of the standard types. Never pickle.

What is not plain crosses as a reference, which `Links` makes and resolves. A frame's numbering of its lists, dicts,
sets and arrays (`Seen`) lets a call give back what it has changed in them, and say "the very list that you gave me".
Invariant: decoding constructs only types named in this module (and `tables`), and calls no method of an object's own
class; a value of a subclass of int, float, str, list, … is read with the methods of the base.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import keyword
import pathlib
import zoneinfo
from typing import Any, Protocol

from . import tables
from .frames import FrameError, refuse

MAX_DEPTH = 100
MAX_ITEMS = 5_000_000
MAX_INT_BITS = 1_000_000
_SMALL = 1 << 53

TYPES: dict[str, type] = {
    each.__name__: each
    for each in (
        bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, range, slice, object,
        type(None), collections.Counter, collections.deque, collections.OrderedDict, collections.defaultdict,
        decimal.Decimal, fractions.Fraction, datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
    )
}  # fmt: skip
_NAMES = {kind: name for name, kind in TYPES.items()}
_MOMENTS = (
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, zoneinfo.ZoneInfo,
)  # fmt: skip


TOO_MANY = f"a value of more than {MAX_ITEMS} items"
TOO_DEEP = f"a value nested more than {MAX_DEPTH} deep"
TOO_LONG = f"a number of more than {MAX_INT_BITS} bits"
TOO_LARGE = "a value that is too large"
REASONS = frozenset((TOO_MANY, TOO_DEEP, TOO_LONG, TOO_LARGE))


class NotPlain(Exception):
    """A value that cannot be sent: too large or too deep. The text says which, and is one of `REASONS`."""


class Links(Protocol):
    """What makes references of objects and objects of references."""

    def reference(self, value: object) -> Any: ...

    def resolve(self, document: Any, decoder: Decoder) -> object: ...


class Seen:
    """The mutable objects of one call, numbered alike on both sides."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, value: object) -> int | None:
        return self._numbers.get(id(value))

    def add(self, value: object) -> int:
        self._numbers[id(value)] = len(self.objects)
        self.objects.append(value)
        return len(self.objects) - 1

    def reserve(self) -> int:
        self.objects.append(None)
        return len(self.objects) - 1

    def fill(self, number: int, value: object) -> None:
        self.objects[number] = value
        self._numbers[id(value)] = number


class Encoder:
    """Makes one document. `seen` numbers the mutable objects; None where nothing comes back."""

    def __init__(self, links: Links, seen: Seen | None = None) -> None:
        self.links = links
        self.seen = seen
        self.blobs: list[bytes] = []
        self._items = 0

    def blob(self, data: bytes) -> int:
        self.blobs.append(data)
        return len(self.blobs) - 1

    def encode(self, value: Any, depth: int = 0, *, again: bool = True) -> Any:
        """The document of a value. With `again`, an object that has a number already is sent as that number."""
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int and -_SMALL < value < _SMALL:
            return value
        self._items += 1
        if self._items > MAX_ITEMS:
            raise NotPlain(TOO_MANY)
        if depth > MAX_DEPTH:
            raise NotPlain(TOO_DEEP)
        if self.seen is not None and again:
            number = self.seen.number(value)
            if number is not None:
                return {"t": "same", "v": number}
        document = self._plain(kind, value, depth, again)
        return self.links.reference(value) if document is None else document

    def mark(self, value: object, document: dict[str, Any], again: bool) -> dict[str, Any]:
        """Number `value` before its contents are encoded, so that numbers run from the outside in."""
        if self.seen is not None and again:
            document["k"] = self.seen.add(value)
        return document

    def many(self, values: Any, depth: int) -> list[Any]:
        return [self.encode(value, depth + 1) for value in values]

    def _plain(self, kind: type, value: Any, depth: int, again: bool) -> Any:
        """The document of a plain value; None of another one."""
        if issubclass(kind, enum.Enum):
            return None
        if issubclass(kind, (int, float, complex, str, bytes, bytearray)):
            numpy = tables.scalar(self, value)
            return self._text_or_number(kind, value, again) if numpy is None else numpy
        if issubclass(kind, (list, tuple, set, frozenset, dict, collections.deque)):
            return self._container(kind, value, depth, again)
        if kind is range or kind is slice:
            return {"t": _NAMES[kind], "v": self.many((value.start, value.stop, value.step), depth)}
        if value is Ellipsis or value is NotImplemented:
            return {"t": "constant", "v": "Ellipsis" if value is Ellipsis else "NotImplemented"}
        if kind is decimal.Decimal or kind is fractions.Fraction:
            return {"t": _NAMES[kind], "v": str(value)}
        if kind in _MOMENTS:
            return _moment(value)
        if issubclass(kind, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
            return {"t": "path", "v": str(value)}
        if kind is type and value in _NAMES:
            return {"t": "type", "v": _NAMES[value]}
        return tables.encode(self, value, again, depth)

    def _text_or_number(self, kind: type, value: Any, again: bool) -> Any:
        if issubclass(kind, bool):
            return value
        if issubclass(kind, int):
            number = int.__add__(value, 0)
            if int.bit_length(number) > MAX_INT_BITS:
                raise NotPlain(TOO_LONG)
            return number if -_SMALL < number < _SMALL else {"t": "int", "v": hex(number)}
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, complex):
            return {
                "t": "complex",
                "v": [complex.__dict__["real"].__get__(value), complex.__dict__["imag"].__get__(value)],
            }
        if issubclass(kind, str):
            return str.__str__(value)
        name = "bytes" if issubclass(kind, bytes) else "bytearray"
        document = {"t": name, "v": self.blob(b"".join((value,)))}
        return self.mark(value, document, again) if name == "bytearray" else document

    def _container(self, kind: type, value: Any, depth: int, again: bool) -> dict[str, Any]:
        document: dict[str, Any]
        if issubclass(kind, tuple):
            document = {"t": "tuple", "v": self.many(tuple.__iter__(value), depth)}
            fields = kind.__dict__.get("_fields")
            if kind is not tuple and type(fields) is tuple and len(fields) == tuple.__len__(value):
                document |= {"t": "named", "n": kind.__name__, "f": [str(name) for name in fields]}
            return document
        if issubclass(kind, dict):
            name = next(n for n in ("Counter", "OrderedDict", "dict") if issubclass(kind, TYPES[n]))
            document = self.mark(value, {"t": name}, again)
            document["v"] = [self.many(pair, depth) for pair in dict.items(value)]
            return document
        base = next(each for each in (list, set, frozenset, collections.deque) if issubclass(kind, each))
        document = {"t": _NAMES[base]}
        if base is not frozenset:
            self.mark(value, document, again)
        document["v"] = self.many(base.__iter__(value), depth)
        return document


def _moment(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    if kind is datetime.timedelta:
        return {"t": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    if kind is datetime.timezone:
        offset = value.utcoffset(None)
        return {"t": "timezone", "v": [offset.days, offset.seconds, offset.microseconds]}
    if kind is zoneinfo.ZoneInfo:
        return {"t": "zone", "v": value.key} if value.key else None
    if kind is datetime.date:
        return {"t": "date", "v": [value.year, value.month, value.day]}
    zone = None if value.tzinfo is None else _moment(value.tzinfo)
    if value.tzinfo is not None and zone is None:
        return None
    clock = [value.hour, value.minute, value.second, value.microsecond]
    if kind is datetime.time:
        return {"t": "time", "v": clock, "z": zone, "f": value.fold}
    return {"t": "datetime", "v": [value.year, value.month, value.day, *clock], "z": zone, "f": value.fold}


class Decoder:
    """Rebuilds the values of one frame. Raises FrameError for whatever `Encoder` would not have written."""

    def __init__(self, links: Links, blobs: list[bytes], seen: Seen | None = None, known: Seen | None = None) -> None:
        self.links = links
        self.blobs = blobs
        self.seen = seen  # filled with what this frame numbers
        self.known = known  # of an earlier frame: what "same" names
        self._items = 0

    def decode(self, document: Any, depth: int = 0) -> Any:
        if document is None or isinstance(document, (bool, int, float, str)):
            return document
        self._items += 1
        if self._items > MAX_ITEMS or depth > MAX_DEPTH:
            refuse("too large a value")
        if not isinstance(document, dict):
            refuse("not a value")
        try:
            return self._decode(document, depth)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, LookupError) as error:
            raise FrameError(f"not a value: {type(error).__name__}") from None

    def blob(self, number: Any) -> bytes:
        if type(number) is not int or number < 0:
            refuse("not a byte string")
        return self.blobs[number]

    def many(self, documents: Any, depth: int) -> list[Any]:
        if type(documents) is not list:
            refuse("not a list")
        return [self.decode(each, depth + 1) for each in documents]

    def _decode(self, document: dict[str, Any], depth: int) -> Any:
        kind, value = document["t"], document.get("v")
        if kind == "same":
            for table in (self.known, self.seen):
                if table is not None and type(value) is int and 0 <= value < len(table.objects):
                    return table.objects[value]
            refuse("no such object")
        if kind in ("list", "set", "dict", "Counter", "OrderedDict", "deque", "bytearray") or "k" in document:
            return self._mutable(document, depth)
        if kind in _SCALARS:
            return _SCALARS[kind](self, document, depth)
        if kind in ("ref", "back"):
            return self.links.resolve(document, self)
        return tables.decode(self, document, depth)

    def _mutable(self, document: dict[str, Any], depth: int) -> Any:
        number = None
        if self.seen is not None and "k" in document:
            number = self.seen.reserve()
        kind: Any = document["t"]
        value: Any = document.get("v")
        result: Any
        if kind == "bytearray":
            result = bytearray(self.blob(value))
        elif kind in ("dict", "Counter", "OrderedDict"):
            result = TYPES[kind]()
            for key, each in (self.many(pair, depth) for pair in value):
                result[key] = each
        elif kind in ("list", "set", "deque"):
            result = TYPES[kind](self.many(value, depth))
        else:
            result = tables.decode(self, document, depth)
        if number is not None and self.seen is not None:
            self.seen.fill(number, result)
        return result


def _int(decoder: Decoder, document: dict[str, Any], depth: int) -> int:
    text = document["v"]
    if type(text) is not str or len(text) > MAX_INT_BITS // 4 + 4:
        refuse("not a number")
    return int(text, 16)


def _named(decoder: Decoder, document: dict[str, Any], depth: int) -> Any:
    name, names = document["n"], document["f"]
    values = decoder.many(document["v"], depth)
    fields = [each for each in names if type(each) is str and each.isidentifier() and not keyword.iskeyword(each)]
    plain = type(name) is str and name.isidentifier() and not keyword.iskeyword(name) and len(fields) == len(values)
    if not plain or len(set(fields)) != len(names) or any(each.startswith("_") for each in fields) or len(fields) > 255:
        return tuple(values)
    return collections.namedtuple(name, fields)(*values)


def _zoned(decoder: Decoder, document: dict[str, Any], depth: int) -> Any:
    zone = None if document.get("z") is None else decoder.decode(document["z"], depth + 1)
    if zone is not None and type(zone) not in (datetime.timezone, zoneinfo.ZoneInfo):
        refuse("not a time zone")
    kind: Any = datetime.datetime if document["t"] == "datetime" else datetime.time
    return kind(*_integers(document["v"]), tzinfo=zone, fold=1 if document.get("f") else 0)


def _integers(values: Any) -> list[int]:
    if type(values) is not list or any(type(each) is not int for each in values):
        refuse("not numbers")
    return list(values)


def _fraction(decoder: Decoder, document: dict[str, Any], depth: int) -> fractions.Fraction:
    text = str(document["v"])
    if len(text) > 20_000 or "e" in text.lower():  # 1e999999999 would take all memory
        refuse("not a fraction")
    return fractions.Fraction(text)


_SCALARS: dict[str, Any] = {
    "int": _int,
    "complex": lambda d, doc, depth: complex(*(float(each) for each in doc["v"])),
    "bytes": lambda d, doc, depth: d.blob(doc["v"]),
    "tuple": lambda d, doc, depth: tuple(d.many(doc["v"], depth)),
    "named": _named,
    "frozenset": lambda d, doc, depth: frozenset(d.many(doc["v"], depth)),
    "range": lambda d, doc, depth: range(*_integers(d.many(doc["v"], depth))),
    "slice": lambda d, doc, depth: slice(*d.many(doc["v"], depth)),
    "constant": lambda d, doc, depth: {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}[doc["v"]],
    "Decimal": lambda d, doc, depth: decimal.Decimal(str(doc["v"])),
    "Fraction": _fraction,
    "timedelta": lambda d, doc, depth: datetime.timedelta(*_integers(doc["v"])),
    "timezone": lambda d, doc, depth: datetime.timezone(datetime.timedelta(*_integers(doc["v"]))),
    "zone": lambda d, doc, depth: zoneinfo.ZoneInfo(str(doc["v"])),
    "date": lambda d, doc, depth: datetime.date(*_integers(doc["v"])),
    "time": _zoned,
    "datetime": _zoned,
    "path": lambda d, doc, depth: pathlib.Path(str(doc["v"])),
    "type": lambda d, doc, depth: TYPES[doc["v"]],
}
