"""NumPy arrays and scalars, pandas and polars frames as plain values: only where the library is loaded already.

Arrays and columns of objects are taken apart into plain values, or cross as references. No reader of a file format
(Arrow, npy, pickle) ever sees what the other side sent: a dtype is matched against a pattern, the rest is a buffer.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Protocol

from .frames import refuse

_DTYPE = re.compile(r"[<>|=]?(?:[biufcSU]\d{1,6}|[Mm]8(?:\[\d{0,6}[A-Za-zμ]{1,7}\])?|\?)")
_EXTENSION = re.compile(
    r"U?Int(?:8|16|32|64)|Float(?:32|64)|boolean|string|str|object|category"
    r"|datetime64\[(?:s|ms|us|ns), [A-Za-z0-9_+:/-]{1,40}\]|datetime64\[(?:s|ms|us|ns)\]|timedelta64\[(?:s|ms|us|ns)\]"
)
_POLARS = (
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean",
    "String", "Binary", "Date", "Time", "Null", "Decimal", "Categorical", "Duration", "Datetime",
)  # fmt: skip
MAX_ARRAY = 1 << 28  # bytes


class Encoder(Protocol):
    """What values.Encoder does for a table: its cells and names are values like any other."""

    seen: Any

    def blob(self, data: bytes) -> int: ...

    def encode(self, value: Any, depth: int = 0, *, again: bool = True) -> Any: ...

    def many(self, values: Any, depth: int) -> list[Any]: ...

    def mark(self, value: object, document: dict[str, Any], again: bool) -> dict[str, Any]: ...


class Decoder(Protocol):
    """What values.Decoder does for a table."""

    def blob(self, number: Any) -> bytes: ...

    def decode(self, document: Any, depth: int = 0) -> Any: ...

    def many(self, documents: Any, depth: int) -> list[Any]: ...


def scalar(encoder: Encoder, value: Any) -> Any:
    """A NumPy scalar that is also a float, str or bytes, as such; else None."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(type(value), getattr(numpy, "generic", ())):
        return None
    return _array_scalar(encoder, numpy, value)


def encode(encoder: Encoder, value: Any, again: bool, depth: int) -> dict[str, Any] | None:
    """The document of an array or a frame; None when it is neither."""
    kind = type(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "ndarray"):
        if issubclass(kind, numpy.generic):
            return _array_scalar(encoder, numpy, value)
        if kind is numpy.dtype or (isinstance(kind, type) and issubclass(kind, numpy.dtype)):
            return {"t": "dtype", "v": value.str} if _DTYPE.fullmatch(value.str) else None
        if issubclass(kind, numpy.ndarray) and not _masked(numpy, kind):
            document = _array(encoder, numpy, value)
            return document if document is None else encoder.mark(value, document, again)
    pandas = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "DataFrame") and str(kind.__module__).split(".")[0] == "pandas":
        return _pandas(encoder, pandas, value, again, depth)
    polars = sys.modules.get("polars")
    if polars is not None and hasattr(polars, "DataFrame") and kind in (polars.DataFrame, polars.Series):
        return _polars(encoder, polars, value, depth)
    return None


def decode(decoder: Decoder, document: dict[str, Any], depth: int) -> Any:
    kind = document["t"]
    if kind in ("array", "scalar", "dtype"):
        return _decode_array(decoder, _import("numpy"), document)
    if kind in ("frame", "series", "index"):
        return _decode_pandas(decoder, _import("pandas"), document, depth)
    if kind in ("timestamp", "duration", "NA", "NaT"):
        return _decode_moment(_import("pandas"), document)
    if kind in ("polars", "column"):
        return _decode_polars(decoder, _import("polars"), document, depth)
    return refuse("a value of no known type")


def restore(target: Any, new: Any) -> bool:
    """Gives an array or a frame the contents of another one. False when it is neither, or cannot be changed so."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(target, numpy.ndarray):
        if type(new) is not numpy.ndarray or target.shape != new.shape or target.dtype != new.dtype:
            return False
        target[...] = new
        return True
    if pandas is not None and type(target) in (pandas.DataFrame, pandas.Series) and type(new) is type(target):
        type(target).__init__(target, new)  # the very object, made again: pandas has no other way to change all of it
        return True
    return False


def copy(value: Any) -> Any:
    """A copy of an array or a frame, to be restored later; None when it is neither."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.copy()
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return value.copy()
    return None


def _import(name: str) -> Any:
    """The library, which the check process loads only when a value needs it."""
    if name not in sys.modules:
        __import__(name)
    return sys.modules[name]


def _masked(numpy: Any, kind: type) -> bool:
    return issubclass(kind, (numpy.ma.MaskedArray, numpy.rec.recarray))


def _array_scalar(encoder: Encoder, numpy: Any, value: Any) -> dict[str, Any] | None:
    dtype = numpy.generic.__dict__["dtype"].__get__(value)
    if not _DTYPE.fullmatch(dtype.str):
        return None
    return {"t": "scalar", "d": dtype.str, "v": encoder.blob(numpy.generic.tobytes(value))}


def _array(encoder: Encoder, numpy: Any, value: Any) -> dict[str, Any] | None:
    plain = numpy.ndarray.view(value, numpy.ndarray)
    if not _DTYPE.fullmatch(plain.dtype.str):
        return None
    return {"t": "array", "d": plain.dtype.str, "s": list(plain.shape), "v": encoder.blob(plain.tobytes())}


def _decode_array(decoder: Decoder, numpy: Any, document: dict[str, Any]) -> Any:
    text = document["d"] if document["t"] != "dtype" else document["v"]
    if type(text) is not str or not _DTYPE.fullmatch(text):
        refuse("not a dtype")
    dtype = numpy.dtype(text)
    if document["t"] == "dtype":
        return dtype
    data = decoder.blob(document["v"])
    shape = document["s"] if document["t"] == "array" else []
    if type(shape) is not list or len(shape) > 32 or any(type(each) is not int or each < 0 for each in shape):
        refuse("not a shape")
    size = dtype.itemsize
    for each in shape:
        size *= each
    if size != len(data) or size > MAX_ARRAY:
        refuse("not an array")
    if not dtype.itemsize:
        return numpy.empty(shape, dtype)
    array = numpy.frombuffer(data, dtype).reshape(shape).copy()
    return array if document["t"] == "array" else array[()]


def _values(encoder: Encoder, values: Any, depth: int) -> dict[str, Any] | None:
    """A column (Series, Index or extension array): as an array, or as plain values with the name of its dtype."""
    numpy = sys.modules["numpy"]
    name = str(values.dtype)
    if isinstance(values.dtype, numpy.dtype) and not values.dtype.hasobject:
        return _array(encoder, numpy, numpy.asarray(values))
    if name == "category":
        categories = _values(encoder, values.dtype.categories, depth)
        codes = values.codes if hasattr(values, "codes") else values.cat.codes
        if categories is None:
            return None
        return {"t": "category", "c": _array(encoder, numpy, numpy.asarray(codes)), "v": categories,
                "o": bool(values.dtype.ordered)}  # fmt: skip
    if not _EXTENSION.fullmatch(name):
        return None
    seen, encoder.seen = encoder.seen, None  # what a column holds is no object of the call's own
    try:
        return {"t": "objects", "d": name, "v": encoder.many(values.tolist(), depth)}
    finally:
        encoder.seen = seen


def _decode_values(decoder: Decoder, pandas: Any, document: dict[str, Any], depth: int) -> Any:
    kind = document["t"]
    if kind == "array":
        return _decode_array(decoder, _import("numpy"), document)
    if kind == "category":
        codes = _decode_array(decoder, _import("numpy"), document["c"])
        categories = pandas.Index(_decode_values(decoder, pandas, document["v"], depth + 1))
        return pandas.Categorical.from_codes(codes, categories=categories, ordered=bool(document["o"]))
    if kind != "objects" or not _EXTENSION.fullmatch(document["d"]) or depth > 50:
        refuse("not a column")
    return (
        pandas.array(decoder.many(document["v"], depth), dtype=document["d"])
        if document["d"] != "object"
        else (pandas.Series(decoder.many(document["v"], depth), dtype="object").array)
    )


def _pandas(encoder: Encoder, pandas: Any, value: Any, again: bool, depth: int) -> dict[str, Any] | None:
    kind = type(value)
    if value is pandas.NaT or value is pandas.NA:
        return {"t": "NaT" if value is pandas.NaT else "NA"}
    if kind is pandas.Timestamp:
        return {"t": "timestamp", "v": [int(value.value), None if value.tz is None else str(value.tz), value.unit]}
    if kind is pandas.Timedelta:
        return {"t": "duration", "v": [int(value.value), value.unit]}
    if issubclass(kind, pandas.Index):
        return _index(encoder, pandas, value, depth)
    if issubclass(kind, pandas.Series):
        index, column = _index(encoder, pandas, value.index, depth), _values(encoder, value, depth)
        if index is None or column is None:
            return None
        series = {"t": "series", "i": index, "v": column, "n": encoder.encode(value.name, depth + 1)}
        return encoder.mark(value, series, again)
    if not issubclass(kind, pandas.DataFrame):
        return None
    index, names = _index(encoder, pandas, value.index, depth), _index(encoder, pandas, value.columns, depth)
    columns = [_values(encoder, value.iloc[:, place], depth) for place in range(value.shape[1])]
    if index is None or names is None or any(column is None for column in columns):
        return None
    return encoder.mark(value, {"t": "frame", "i": index, "c": names, "v": columns}, again)


def _index(encoder: Encoder, pandas: Any, index: Any, depth: int) -> dict[str, Any] | None:
    name = encoder.encode(list(index.names) if isinstance(index, pandas.MultiIndex) else index.name, depth + 1)
    if type(index) is pandas.RangeIndex:
        return {"t": "index", "r": [index.start, index.stop, index.step], "n": name}
    if isinstance(index, pandas.MultiIndex):
        return {"t": "index", "m": encoder.many(index.tolist(), depth), "n": name}
    column = _values(encoder, index, depth)
    return None if column is None else {"t": "index", "v": column, "n": name}


def _decode_pandas(decoder: Decoder, pandas: Any, document: dict[str, Any], depth: int) -> Any:
    kind = document["t"]
    if kind == "index":
        name = decoder.decode(document["n"], depth + 1)
        if "r" in document:
            return pandas.RangeIndex(*document["r"], name=name)
        if "m" in document:
            return pandas.MultiIndex.from_tuples(decoder.many(document["m"], depth), names=name)
        return pandas.Index(_decode_values(decoder, pandas, document["v"], depth + 1), name=name)
    index = _decode_pandas(decoder, pandas, document["i"], depth + 1)
    if kind == "series":
        values = _decode_values(decoder, pandas, document["v"], depth + 1)
        return pandas.Series(values, index=index, name=decoder.decode(document["n"], depth + 1))
    names = _decode_pandas(decoder, pandas, document["c"], depth + 1)
    columns = [_decode_values(decoder, pandas, each, depth + 1) for each in document["v"]]
    if len(columns) != len(names):
        refuse("not a frame")
    frame = pandas.DataFrame(
        {place: pandas.Series(each, index=index) for place, each in enumerate(columns)}, index=index
    )
    frame.columns = names
    return frame


def _decode_moment(pandas: Any, document: dict[str, Any]) -> Any:
    kind, value = document["t"], document.get("v")
    if kind in ("NA", "NaT"):
        return getattr(pandas, kind)
    if type(value) is not list or type(value[0]) is not int or value[-1] not in ("s", "ms", "us", "ns"):
        refuse("not a moment")
    if kind == "duration":
        return pandas.Timedelta(value[0], unit="ns").as_unit(value[1])
    moment = pandas.Timestamp(value[0], unit="ns")
    if value[1] is not None:
        if not re.fullmatch(r"[A-Za-z0-9_+:/-]{1,40}", str(value[1])):
            refuse("not a time zone")
        moment = moment.tz_localize("UTC").tz_convert(str(value[1]))
    return moment.as_unit(value[2])


def _polars(encoder: Encoder, polars: Any, value: Any, depth: int) -> dict[str, Any] | None:
    columns = [value] if isinstance(value, polars.Series) else value.get_columns()
    documents = []
    for column in columns:
        name = str(column.dtype.base_type())
        zone = getattr(column.dtype, "time_zone", None)
        if name not in _POLARS or zone is not None:
            return None
        unit = getattr(column.dtype, "time_unit", None)
        values = column.to_physical() if unit else column
        documents.append([column.name, name, unit, encoder.many(values.to_list(), depth)])
    return {"t": "column" if isinstance(value, polars.Series) else "polars", "v": documents}


def _decode_polars(decoder: Decoder, polars: Any, document: dict[str, Any], depth: int) -> Any:
    columns = []
    for name, kind, unit, values in document["v"]:
        if type(name) is not str or kind not in _POLARS or unit not in (None, "ms", "us", "ns"):
            refuse("not a column")
        dtype = getattr(polars, kind)
        decoded = decoder.many(values, depth)
        if unit:
            columns.append(polars.Series(name, decoded, dtype=polars.Int64).cast(dtype(unit)))
        else:
            columns.append(polars.Series(name, decoded, dtype=dtype))
    return columns[0] if document["t"] == "column" else polars.DataFrame(columns)
