"""The transfer of values between processes: plain values arrive equal and with the same type, and nothing else does."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import json
import math
import socket
import struct
from collections import Counter, OrderedDict, deque, namedtuple
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.grading.inside import tables
from mograder.grading.inside.frames import Channel, Closed, FrameError
from mograder.grading.inside.values import Decoder, Encoder, NotPlain, Seen

Point = namedtuple("Point", "x y")


class NoLinks:
    """For values without references."""

    def reference(self, value: object) -> Any:
        raise AssertionError(f"{value!r} crosses as a reference")

    def resolve(self, document: Any, decoder: Decoder) -> object:
        raise FrameError("no references here")


def transfer(value: Any) -> Any:
    encoder = Encoder(NoLinks(), Seen())
    document = json.loads(json.dumps(encoder.encode(value)))
    return Decoder(NoLinks(), encoder.blobs, seen=Seen()).decode(document)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.decimals(allow_nan=False)
    | st.fractions() | st.dates() | st.datetimes() | st.times() | st.timedeltas() | st.complex_numbers(allow_nan=False)
    | st.datetimes(timezones=st.just(datetime.UTC)),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    | st.frozensets(st.integers() | st.text(), max_size=4) | st.sets(st.floats(allow_nan=False), max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_plain_values_are_transferred_unchanged(value: Any) -> None:
    result = transfer(value)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("value", [
    2**5000, -(2**53), 1e308, -0.0, math.inf, range(3, 9, 2), slice(1, None), Ellipsis, NotImplemented, bytearray(b"x"), int, type(None),
    Counter("hello"), OrderedDict(b=1, a=2), deque([1, [2]]), Point(1, [2]), ZoneInfo("Europe/Paris"), {"a": (1, {2: b"\xff"})}, "\ud800",
    decimal.Decimal("1E+1000000"), fractions.Fraction(1, 3), datetime.timezone(datetime.timedelta(hours=2)),
])  # fmt: skip
def test_values_of_the_standard_library_are_transferred(value: Any) -> None:
    result = transfer(value)
    assert result == value
    assert repr(result) == repr(value)


DTYPES = (
    "?",
    "i1",
    "u2",
    "<i4",
    ">i8",
    "f2",
    "f4",
    ">f8",
    "c8",
    "c16",
    "S3",
    "U4",
    "M8[D]",
    "M8[ns]",
    "m8[s]",
    "M8[25s]",
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_arrays_of_every_dtype_are_transferred(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).astype("i8").astype(dtype).reshape(shape)
    result = transfer(array)
    assert type(result) is np.ndarray
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)
    assert result.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_of_every_dtype_are_transferred(dtype: str) -> None:
    value = np.ones(1, "i8").astype(dtype)[0]
    result = transfer(value)
    assert type(result) is type(value)
    assert result == value


def test_array_views_and_subclasses_become_arrays() -> None:
    class Liar(np.ndarray):
        def __eq__(self, other: object) -> Any:
            return True

        def tobytes(self, *arguments: Any) -> bytes:
            return b"lies"

        dtype = property(lambda self: np.dtype("i1"))  # type: ignore[assignment]

    array = np.arange(12.0).reshape(3, 4)[::2, ::-1]
    result = transfer(array.view(Liar))
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, array)


FRAMES = [
    pd.DataFrame(),
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, np.nan]}, index=["p", "q"]),
    pd.DataFrame(
        {
            "a": pd.array([1, None], "Int64"),
            "b": pd.array([True, None], "boolean"),
            "c": pd.Categorical(["x", "y"], ordered=True),
        }
    ),
    pd.DataFrame({"t": pd.date_range("2026", periods=2, tz="Asia/Tokyo"), "d": pd.to_timedelta([1, None], unit="D")}),
    pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    pd.DataFrame({"o": [1, "x"], "n": [None, 2.5]}, dtype=object),
    pd.DataFrame([[1, 2]], columns=["same", "same"]),
    pd.DataFrame({"g": [1, 1], "x": [1, 2]}).groupby("g").sum(),
]


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_pandas_data_frames_are_transferred(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(transfer(frame), frame)


def test_series_indexes_and_timestamps_are_transferred() -> None:
    series = pd.Series([1.5, None], name="x", index=pd.Index([3, 4], name="k"))
    pd.testing.assert_series_equal(transfer(series), series)
    for index in (pd.RangeIndex(2, 9, 3), pd.date_range("2026", periods=3, freq="D"), pd.Index(["a", "b"], name="n")):
        pd.testing.assert_index_equal(transfer(index), index, exact="equiv", check_freq=False)
    for value in (
        pd.Timestamp("2026-03-01 12:00", tz="Europe/Rome"),
        pd.Timestamp("2026"),
        pd.Timedelta("3h"),
        pd.NaT,
        pd.NA,
    ):
        result = transfer(value)
        assert result is value or (result == value and type(result) is type(value))


def test_polars_data_frames_are_transferred() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [0.5, 1.5], "d": [datetime.date(2026, 1, 1), None]})
    moments = pl.DataFrame({"t": [datetime.datetime(2026, 1, 1), None]}, schema={"t": pl.Datetime("ms")})  # noqa: DTZ001
    assert transfer(frame).equals(frame)
    assert transfer(moments).schema == moments.schema
    assert transfer(moments).equals(moments)
    assert transfer(frame["a"]).equals(frame["a"])


class Number(float):
    def __float__(self) -> float:
        return 42.0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "lies"


class Several(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([42])

    def __len__(self) -> int:
        return 42


class Table(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [("lie", 42)]


@pytest.mark.parametrize(("value", "plain"), [
    (Number(1.5), 1.5), (Text("x"), "x"), (Several([1, 2]), [1, 2]), (Table(a=1), {"a": 1}),
    (type("I", (int,), {"__int__": lambda s: 42, "__index__": lambda s: 42})(7), 7),
    (type("T", (tuple,), {"__iter__": lambda s: iter([42])})((1,)), (1,)),
    (type("S", (set,), {"__iter__": lambda s: iter([42])})({1}), {1}),
    (type("B", (bytes,), {"__bytes__": lambda s: b"42"})(b"x"), b"x"),
])  # fmt: skip
def test_instances_of_subclasses_become_their_base_type(value: Any, plain: Any) -> None:
    result = transfer(value)
    assert type(result) is type(plain)
    assert repr(result) == repr(plain)


def test_an_enumeration_is_transferred_by_reference_and_not_as_a_plain_value() -> None:
    with pytest.raises(AssertionError, match="crosses as a reference"):
        transfer(enum.IntEnum("Colour", "RED").RED)


def test_a_shared_object_stays_shared() -> None:
    shared: list[Any] = [1]
    result = transfer([shared, {"k": shared}])
    assert result[0] is result[1]["k"]


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_that_is_too_deep_or_too_large_is_refused() -> None:
    for value in (_nested(200), 1 << 2_000_000):
        with pytest.raises(NotPlain):
            transfer(value)


HOSTILE = [
    [], [1], {}, {"t": 1}, {"t": "x"}, {"t": "list"}, {"t": "list", "v": 3}, {"t": "list", "v": "abc"}, {"t": "dict", "v": [[1]]},
    {"t": "dict", "v": [[{"t": "list", "v": []}, 1]]}, {"t": "set", "v": [{"t": "list", "v": []}]}, {"t": "bytes", "v": 7},
    {"t": "bytes", "v": -1}, {"t": "bytes", "v": True}, {"t": "int", "v": "zz"}, {"t": "int", "v": 5}, {"t": "int", "v": "0x" + "f" * 300_000},
    {"t": "Fraction", "v": "1e999999999"}, {"t": "Fraction", "v": "1/0"}, {"t": "Decimal", "v": "x"}, {"t": "range", "v": [1, 2, 0]},
    {"t": "range", "v": [1.5, 2, 1]}, {"t": "slice", "v": [1, 2, 3, 4]}, {"t": "constant", "v": "exit"}, {"t": "type", "v": "eval"},
    {"t": "date", "v": [0, 0, 0]}, {"t": "datetime", "v": [1], "z": 3}, {"t": "zone", "v": "../../../etc/passwd"}, {"t": "timezone", "v": [5, 0, 0]},
    {"t": "array", "d": "|O", "s": [1], "v": 0}, {"t": "array", "d": "O8", "s": [1], "v": 0}, {"t": "array", "d": "f8", "s": [1 << 60], "v": 0},
    {"t": "array", "d": "f8", "s": [-1], "v": 0}, {"t": "array", "d": "f8,O", "s": [1], "v": 0}, {"t": "array", "d": "f8", "s": [2], "v": 0},
    {"t": "array", "d": "V8", "s": [1], "v": 0}, {"t": "scalar", "d": "f4", "v": 0}, {"t": "dtype", "v": "{'names': ['a'], 'formats': ['O']}"},
    {"t": "frame", "i": 1, "c": 2, "v": 3}, {"t": "index", "r": [0, 10, 0], "n": None}, {"t": "series", "i": {"t": "index", "r": [0, 1, 1], "n": None}, "v": {"t": "objects", "d": "sparse", "v": []}, "n": None},
    {"t": "timestamp", "v": [1, "x; drop", "ns"]}, {"t": "timestamp", "v": ["x", None, "ns"]}, {"t": "NaN"}, {"t": "same", "v": 0}, {"t": "same", "v": -1},
    {"t": "polars", "v": [["a", "Object", None, []]]}, {"t": "polars", "v": 1}, {"t": "ref", "r": 0}, {"t": "back", "r": 0}, {"t": ["list"]},
]  # fmt: skip


@pytest.mark.parametrize("document", HOSTILE, ids=lambda value: json.dumps(value)[:40])
def test_an_invalid_document_is_refused(document: Any) -> None:
    with pytest.raises(FrameError):
        Decoder(NoLinks(), [b"12345678"], seen=Seen()).decode(document)


def test_a_named_tuple_with_invalid_names_becomes_a_tuple() -> None:
    for name, fields in (
        ("x; import os", ["a"]),
        ("P", ["__class__"]),
        ("P", ["a", "a"]),
        ("class", ["a"]),
        ("P", ["a b"]),
        (7, ["a"]),
    ):
        document = {"t": "named", "n": name, "f": fields, "v": [1] * len(fields)}
        assert type(Decoder(NoLinks(), []).decode(document)) is tuple


def test_an_array_or_data_frame_can_be_overwritten_in_place() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})
    same = frame
    assert tables.restore(frame, pd.DataFrame({"b": ["x"]}, index=["k"]))
    pd.testing.assert_frame_equal(same, pd.DataFrame({"b": ["x"]}, index=["k"]))
    array = np.zeros(3)
    assert not tables.restore(array, np.zeros(4))
    assert tables.restore(array, np.ones(3))
    assert array.sum() == 3


def _pair() -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    return Channel(ours, 1_000), theirs


@pytest.mark.parametrize("data", [
    struct.pack("<II", 1 << 31, 0), struct.pack("<II", 2, 1 << 31), struct.pack("<II", 2, 1) + struct.pack("<Q", 1 << 62) + b"{}",
    struct.pack("<II", 3, 0) + b"{]}", struct.pack("<II", 2, 0) + b"\xff\xfe", struct.pack("<II", 900, 0) + b"[" * 900, b"", b"\x01",
    struct.pack("<II", 10, 0) + b"{}",
])  # fmt: skip
def test_an_invalid_frame_is_refused(data: bytes) -> None:
    channel, theirs = _pair()
    theirs.sendall(data)
    theirs.close()
    with pytest.raises(FrameError):
        channel.receive()
    channel.close()


def test_frames_carry_documents_and_bytes() -> None:
    channel, theirs = _pair()
    other = Channel(theirs, 1_000)
    channel.send({"a": [1, None, "ä"]}, [b"", b"\x00\xff"])
    assert other.receive() == ({"a": [1, None, "ä"]}, [b"", b"\x00\xff"])
    with pytest.raises(FrameError, match="larger than 1000 bytes"):
        channel.send("x" * 2_000)
    channel.close()
    with pytest.raises(Closed):
        other.receive()
    other.close()
