"""Honest answers: a question has a model solution, other correct answers, wrong answers, and a check."""

from __future__ import annotations

from dataclasses import dataclass

from tests.grading.notebooks import hidden, notebook, solution

SETUP = """\
import datetime
import decimal
import fractions
import inspect
import math
import random
import types
from collections import Counter, deque

import marimo as mo
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
from mograder.runtime import Grader, check, hint, word_count"""


@dataclass(frozen=True)
class Question:
    key: str
    model: str
    check: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unprotected: bool = False


QUESTIONS = (
    Question("function", "def area(r):\n    return math.pi * r ** 2", "(abs(area(2) - 4 * math.pi) < 1e-9, '')",
             ("area = lambda r: math.pi * r * r", "from functools import partial\narea = partial(lambda k, r: k * r * r, math.pi)",
              "class Area:\n    def __call__(self, r):\n        return np.pi * r ** 2\narea = Area()"),
             ("def area(r):\n    return 3 * r ** 2",)),
    Question("closure", "def adder(n):\n    def add(x):\n        return x + n\n    return add",
             "(adder(3)(4) == 7, ''), (adder('a')('b') == 'ba', '')",
             ("adder = lambda n: lambda x: x + n", "import functools, operator\ndef adder(n):\n    return lambda x: operator.add(x, n)"),
             ("def adder(n):\n    return lambda x: n",)),
    Question("recursion", "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
             "([fib(n) for n in range(10)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34], '')",
             ("from functools import lru_cache\n@lru_cache\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",),
             ("def fib(n):\n    return n",)),
    Question("generator", "def primes():\n    n = 2\n    while True:\n        if all(n % d for d in range(2, n)):\n            yield n\n"
             "        n += 1",
             "(isinstance(primes(), types.GeneratorType), 'a generator'), (inspect.isgeneratorfunction(primes), ''),"
             " ([p for p, _ in zip(primes(), range(5))] == [2, 3, 5, 7, 11], 'the first five')",
             ("def primes():\n    found = []\n    for n in iter(int, 1) or []:\n        pass\n    n = 1\n    while n := n + 1:\n"
              "        if not any(n % p == 0 for p in found):\n            found.append(n)\n            yield n",)[1:],
             ("def primes():\n    return [2, 3, 5, 7, 11]",)),
    Question("class", "class Dog:\n    legs = 4\n    def __init__(self, name):\n        self.name = name\n    def bark(self, times=1):\n"
             "        return self.name + '!' * times",
             "(Dog('Rex').name == 'Rex', ''), (Dog('Rex').bark(times=2) == 'Rex!!', ''), (Dog.legs == 4, ''),"
             " (isinstance(Dog('x'), Dog) and not isinstance(3, Dog), ''), (type(Dog('x')) == Dog, ''),"
             " (hasattr(Dog('x'), 'bark') and not hasattr(Dog('x'), 'meow'), ''), (type(Dog('x')).__name__ == 'Dog', '')",
             ("from dataclasses import dataclass as _data\n@_data\nclass Dog:\n    name: str\n    legs = 4\n    def bark(self, times=1):\n"
              "        return f'{self.name}' + times * '!'",),
             ("class Dog:\n    legs = 3\n    def __init__(self, name):\n        self.name = 'Rex'\n    def bark(self, times=1):\n"
              "        return 'wuff'",)),
    Question("inheritance", "class Shape:\n    def area(self):\n        return 0\nclass Square(Shape):\n    def __init__(self, a):\n"
             "        self.a = a\n    def area(self):\n        return self.a ** 2",
             "(issubclass(Square, Shape), ''), (isinstance(Square(2), Shape), ''), (Square(3).area() == 9, ''),"
             " (Square.__mro__[1] == Shape or Square.__bases__ == (Shape,), '')",
             (), ("class Shape:\n    pass\nclass Square:\n    def __init__(self, a):\n        self.a = a\n    def area(self):\n        return 9",)),
    Question("operators", "class Vec:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n    def __add__(self, o):\n"
             "        return Vec(self.x + o.x, self.y + o.y)\n    def __eq__(self, o):\n        return (self.x, self.y) == (o.x, o.y)\n"
             "    def __repr__(self):\n        return f'Vec({self.x}, {self.y})'",
             "(Vec(1, 2) + Vec(3, 4) == Vec(4, 6), ''), (Vec(1, 2) != Vec(1, 3), ''), (repr(Vec(1, 2)) == 'Vec(1, 2)', ''),"
             " (str([Vec(1, 2)]) == '[Vec(1, 2)]', ''), (f'{Vec(1, 2)}' == 'Vec(1, 2)', '')",
             ("from dataclasses import dataclass as _data\n@_data\nclass Vec:\n    x: int\n    y: int\n    def __add__(self, o):\n"
              "        return type(self)(self.x + o.x, self.y + o.y)\n    def __repr__(self):\n        return 'Vec(%d, %d)' % (self.x, self.y)",),
             ("class Vec:\n    def __init__(self, x, y):\n        self.x, self.y = x, y",), True),
    Question("container", "class Bag:\n    def __init__(self):\n        self.d = {}\n    def __setitem__(self, k, v):\n        self.d[k] = v\n"
             "    def __getitem__(self, k):\n        return self.d[k]\n    def __len__(self):\n        return len(self.d)\n"
             "    def __iter__(self):\n        return iter(self.d)\n    def __contains__(self, k):\n        return k in self.d\n"
             "    def __enter__(self):\n        return self\n    def __exit__(self, *e):\n        self.d.clear()\n        return True\nbag = Bag()",
             "_container(), ''), (len(bag) == 0, 'emptied'",
             (), ("bag = None",), True),
    Question("callback", "def compose(f, g):\n    return lambda x: f(g(x))",
             "(compose(lambda x: x + 1, lambda x: 2 * x)(5) == 11, ''), (compose(math.sqrt, abs)(-16) == 4, ''),"
             " (compose(str, len)([1, 2]) == '2', '')",
             ("def compose(f, g):\n    def h(*args):\n        return f(g(*args))\n    return h",),
             ("def compose(f, g):\n    return lambda x: g(f(x))",)),
    Question("deeper callback", "def integrate(f, a, b, n=100):\n    h = (b - a) / n\n    return h * sum(f(a + (i + 0.5) * h) for i in range(n))",
             "(abs(integrate(lambda x: x * x, 0, 3) - 9) < 0.01, ''), (abs(integrate(np.sin, 0, np.pi) - 2) < 0.01, '')",
             (), ("def integrate(f, a, b, n=100):\n    return f(a)",)),
    Question("changes on purpose", "def insert(values, x):\n    values.append(x)\n    values.sort()",
             "_inserted() == [1, 2, 3], ''), (_nested() == {'a': [1, 2], 'b': [9]}, 'of the inner list'",
             ("def insert(values, x):\n    values[:] = sorted(values + [x])",),
             ("def insert(values, x):\n    return sorted(values + [x])",)),
    Question("must not change", "def median(values):\n    s = sorted(values)\n    return s[len(s) // 2]",
             "_unchanged(), 'the list is as it was'), (median((5, 1, 3)) == 3, ''",
             ("import statistics\nmedian = statistics.median",), ("def median(values):\n    values.sort()\n    return values[1]",)),
    Question("exceptions", "class TooBig(ValueError):\n    pass\ndef root(x):\n    if x < 0:\n        raise ValueError(f'negative: {x}')\n"
             "    if x > 100:\n        raise TooBig('big', x)\n    return {}[x] if x == 3 else x ** 0.5",
             "(_raised(lambda: root(-1)) == ('ValueError', 'negative: -1'), ''), (_raised(lambda: root(3))[0] == 'KeyError', ''),"
             " (_raised(lambda: root(101))[0] == 'TooBig', ''), (_caught(), 'by its own class'), (root(4) == 2, '')",
             (), ("class TooBig(Exception):\n    pass\ndef root(x):\n    return 2",)),
    Question("library exceptions", "def solve(a):\n    return np.linalg.inv(a)\ndef parse(text):\n    import json\n    return json.loads(text)",
             "(_raised(lambda: solve(np.zeros((2, 2))))[0] == 'LinAlgError', ''), (_raised(lambda: parse('{'))[0] == 'JSONDecodeError', ''),"
             " (parse('[1, {\"a\": null}]') == [1, {'a': None}], '')", (), ("def solve(a): return a\ndef parse(t): return t",)),
    Question("numbers", "big = 2 ** 200\nthird = fractions.Fraction(1, 3)\nmoney = decimal.Decimal('19.99')\nz = 3 + 4j\nnan = float('nan')\n"
             "inf = -math.inf\nsmall = 5e-324\nnothing = None\nyes = True",
             "(big == 2 ** 200 and third * 3 == 1 and money + 1 == decimal.Decimal('20.99'), ''), (abs(z) == 5 and nan != nan, ''),"
             " (math.isinf(inf) and inf < 0 and small > 0 and nothing is None and yes is True, '')",
             (), ("big = 1\nthird = 0.33\nmoney = 19.99\nz = 3\nnan = 0\ninf = 1\nsmall = 0\nnothing = 0\nyes = 1",)),
    Question("texts", "word = 'Größe ☃ \\ud800'\nraw = b'\\x00\\xff'\nlines = 'a\\nb'",
             "(word == 'Größe ☃ \\ud800' and raw == b'\\x00\\xff' and lines.splitlines() == ['a', 'b'], '')",
             (), ("word = ''\nraw = b''\nlines = ''",)),
    Question("containers", "pair = (1, [2, {3, 4}], {'k': (5,)})\nfrozen = frozenset('ab')\ncount = Counter('hello')\nqueue = deque([1, 2], 5)\n"
             "steps = range(0, 10, 3)\nviews = {1: 2}.items()\nlazy = map(str, [1, 2])",
             "(pair == (1, [2, {3, 4}], {'k': (5,)}) and frozen == {'a', 'b'} and count['l'] == 2, ''),"
             " (list(queue) == [1, 2] and list(steps) == [0, 3, 6, 9] and isinstance(count, Counter), ''), (sorted(views) == [(1, 2)], ''),"
             " (list(lazy) == ['1', '2'], '')",
             (), ("pair = frozen = count = queue = steps = views = lazy = None",)),
    Question("dates", "day = datetime.date(2026, 2, 28)\nmoment = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)\n"
             "span = datetime.timedelta(days=2, seconds=3)\nnoon = datetime.time(12, 0)\nfrom zoneinfo import ZoneInfo\n"
             "there = moment.astimezone(ZoneInfo('Europe/Berlin'))",
             "(day + datetime.timedelta(days=1) == datetime.date(2026, 3, 1) and moment.hour == 12 and noon.hour == 12, ''),"
             " (span.total_seconds() == 172803 and there == moment and there.hour == 13, '')",
             (), ("day = moment = span = noon = there = None",)),
    Question("named tuple", "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\np = Point(1, 2)",
             "(p.x == 1 and p == (1, 2) and isinstance(p, tuple) and p._fields == ('x', 'y'), ''), (Point(3, 4).y == 4, '')",
             ("from typing import NamedTuple\nclass Point(NamedTuple):\n    x: int\n    y: int\np = Point(1, 2)",),
             ("class Point:\n    pass\np = Point()",)),
    Question("enum", "import enum\nclass Colour(enum.Enum):\n    RED = 1\n    BLUE = 2\nfavourite = Colour.RED",
             "(Colour.RED.value == 1 and Colour.RED.name == 'RED' and favourite == Colour.RED and favourite is not Colour.BLUE, ''),"
             " (len(Colour) == 2 and [c.name for c in Colour] == ['RED', 'BLUE'], '')",
             (), ("class Colour:\n    RED = 1\n    BLUE = 2\nfavourite = 2",)),
    Question("arrays", "a = np.arange(6).reshape(2, 3)\nb = np.array([True, False])\nc = np.array(['x', 'yy'])\nd = a.astype(np.float32).T\n"
             "e = np.array(['2026-01-01'], 'datetime64[D]')\nf = np.float64(2.5)\ng = np.int16(7)\nh = np.zeros((0, 3))\n"
             "i = np.array([1 + 2j])\nj = np.bool_(True)\nk = a[:, ::2]",
             "(np.array_equal(a, [[0, 1, 2], [3, 4, 5]]) and a.dtype == int and b.sum() == 1 and c[1] == 'yy', ''),"
             " (d.shape == (3, 2) and d.dtype == np.float32 and e[0] == np.datetime64('2026-01-01'), ''),"
             " (isinstance(f, np.floating) and f == 2.5 and g.dtype == np.int16 and h.shape == (0, 3) and i[0].imag == 2 and j, ''),"
             " (k.tolist() == [[0, 2], [3, 5]], '')",
             (), ("a = b = c = d = e = f = g = h = i = j = k = 0",)),
    Question("array functions", "def scale(x, k=2.0):\n    return x * k\ndef bump(x):\n    x += 1",
             "(np.allclose(scale(np.arange(3), k=3), [0, 3, 6]), ''), (_bumped(), 'in place'), (scale(np.float64(2)) == 4, '')",
             ("def scale(x, k=2.0):\n    return np.multiply(x, k)\ndef bump(x):\n    x[...] = x + 1",),
             ("def scale(x, k=2.0):\n    return x\ndef bump(x):\n    return x + 1",)),
    Question("pandas", "df = pd.DataFrame({'n': [1, 2, 3], 'x': [0.5, np.nan, 2.5], 's': ['a', 'b', None], 'b': [True, False, True],\n"
             "    't': pd.to_datetime(['2026-01-01', '2026-01-02', None]), 'c': pd.Categorical(['u', 'v', 'u'])}, index=['p', 'q', 'r'])\n"
             "df['i'] = pd.array([1, None, 3], dtype='Int64')\ndf['z'] = pd.date_range('2026', periods=3, tz='Europe/Rome')\n"
             "s = df['n'] * 2\nidx = df.index\nmulti = df.set_index(['n', 's'])\nstamp = df['t'].iloc[0]\ngrouped = df.groupby('c', observed=True)['n'].sum()",
             "(df.shape == (3, 8) and list(df.columns) == ['n', 'x', 's', 'b', 't', 'c', 'i', 'z'] and list(idx) == ['p', 'q', 'r'], ''),"
             " (df['x'].isna().sum() == 1 and df['s'].iloc[1] == 'b' and df['s'].isna().sum() == 1 and df['b'].dtype == bool, ''),"
             " (str(df['c'].dtype) == 'category' and str(df['i'].dtype) == 'Int64' and df['i'].sum() == 4, ''),"
             " (df['z'].dt.tz is not None and df['z'].iloc[0] == pd.Timestamp('2026-01-01', tz='Europe/Rome'), ''),"
             " (s.name == 'n' and s.tolist() == [2, 4, 6] and stamp == pd.Timestamp('2026-01-01'), ''),"
             " (multi.index.names == ['n', 's'] and multi.loc[(1, 'a'), 'x'] == 0.5, ''), (grouped['u'] == 4, '')",
             (), ("df = s = idx = multi = stamp = grouped = 0",)),
    Question("frame functions", "def clean(frame):\n    return frame.dropna().reset_index(drop=True)\ndef tag(frame):\n    frame['tag'] = 1",
             "(_cleaned(), ''), (_tagged(), 'in place')", (), ("def clean(frame):\n    return frame\ndef tag(frame):\n    return frame",)),
    Question("polars", "q = pl.DataFrame({'n': [1, 2, None], 's': ['a', 'b', 'c'], 'x': [0.5, 1.5, 2.5]})\nr = q['n']",
             "(q.shape == (3, 3) and q['s'].to_list() == ['a', 'b', 'c'] and r.null_count() == 1, ''), (q.filter(pl.col('x') > 1).height == 2, '')",
             (), ("q = r = 0",)),
    Question("figure", "fig, ax = plt.subplots()\nax.plot([1, 2, 3], [1, 4, 9], label='squares')\nax.set_xlabel('time / s')\nax.set_ylabel('m')\n"
             "ax.set_title('Fall')\nax.legend()",
             "(ax.get_xlabel() == 'time / s' and ax.get_title() == 'Fall', ''), (len(ax.lines) == 1, ''),"
             " (list(ax.lines[0].get_ydata()) == [1, 4, 9], ''), (ax.get_legend() is not None, '')",
             ("fig = plt.figure()\nax = fig.add_subplot(111)\nax.plot(np.array([1, 2, 3]), np.array([1., 4., 9.]), 'o-', label='s')\n"
              "ax.set(xlabel='time / s', ylabel='m', title='Fall')\nax.legend()",),
             ("fig, ax = plt.subplots()",)),
    Question("randomness", "def walk(seed, n):\n    rng = random.Random(seed)\n    return [rng.randint(0, 9) for _ in range(n)]\n"
             "def draw(rng, n):\n    return rng.normal(size=n)\nsample = np.random.default_rng(7).integers(0, 100, 5)",
             "(walk(3, 4) == walk(3, 4) and len(walk(1, 9)) == 9, ''), (draw(np.random.default_rng(1), 3).shape == (3,), ''),"
             " (np.array_equal(sample, np.random.default_rng(7).integers(0, 100, 5)), '')",
             (), ("def walk(seed, n):\n    return []\ndef draw(rng, n):\n    return 0\nsample = [1]",)),
    Question("elements", "slider = mo.ui.slider(1, 10, value=4)\nchoice = mo.ui.dropdown(['a', 'b'], value='b')\ntext = mo.md('# Hello')",
             "(slider.value == 4 and choice.value == 'b' and 'Hello' in text.text, ''), (slider.start == 1 and slider.stop == 10, '')",
             (), ("slider = choice = text = None",)),
    Question("signature", "def plus(a, b=2, *args, key=None, **rest):\n    '''Adds.'''\n    return a + b",
             "(list(inspect.signature(plus).parameters) == ['a', 'b', 'args', 'key', 'rest'], ''), (plus.__doc__ == 'Adds.' and plus.__name__ == 'plus', ''),"
             " ('return a + b' in inspect.getsource(plus), ''), (callable(plus) and inspect.isfunction(plus) and plus(1) == 3, '')",
             (), ("def plus(x):\n    return 3",)),
    Question("helper class", "def total(basket):\n    return sum(item.price * item.count for item in basket.items())",
             "(total(Basket([Item(2, 3), Item(5, 1)])) == 11, 'with objects of the tests')",
             (), ("def total(basket):\n    return 0",)),
    Question("async", "async def later(x):\n    import asyncio\n    await asyncio.sleep(0)\n    return x\nnow = await later(5)", "(now == 5, '')",
             (), ("now = 4",)),
    Question("sorting", "class Card:\n    def __init__(self, n):\n        self.n = n\n    def __lt__(self, other):\n        return self.n < other.n",
             "([c.n for c in sorted([Card(3), Card(1), Card(2)])] == [1, 2, 3], '')", (), ("class Card:\n    def __init__(self, n):\n        self.n = 1",), True),
    Question("object and number", "class Money:\n    def __init__(self, cents):\n        self.cents = cents\n    def __mul__(self, k):\n        return Money(self.cents * k)\n"
             "    __rmul__ = __mul__\n    def __eq__(self, other):\n        return self.cents == getattr(other, 'cents', other)\n    def __float__(self):\n        return self.cents / 100",
             "(2 * Money(5) * 3 == Money(30), ''), (Money(5) == 5, ''), (float(Money(250)) == 2.5, '')", (), ("class Money:\n    def __init__(self, cents):\n        pass",), True),
)  # fmt: skip

HELPERS = """
class Item:
    def __init__(self, price, count):
        self.price, self.count = price, count

class Basket:
    def __init__(self, items):
        self._items = items
    def items(self):
        return list(self._items)
"""
TESTING = """
def _raised(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return None, None
def _caught():
    try:
        root(200)
    except TooBig as error:
        return isinstance(error, ValueError) and error.args == ("big", 200)
    return False
def _container():
    with bag as _bag:
        _bag["a"] = 1
        _bag["b"] = [2]
        assert len(_bag) == 2 and list(_bag) == ["a", "b"] and _bag["b"] == [2] and "a" in _bag and "c" not in _bag
        raise KeyError("swallowed")
    return True
def _inserted():
    values = [3, 1]
    insert(values, 2)
    return values
def _nested():
    inner = [2]
    values = {"a": inner, "b": [9]}
    insert(values["a"], 1)
    return {"a": inner, "b": values["b"]}
def _unchanged():
    values = [3, 1, 2]
    return median(values) == 2 and values == [3, 1, 2]
def _bumped():
    values = np.zeros(3)
    bump(values)
    return values.tolist() == [1, 1, 1]
def _cleaned():
    frame = pd.DataFrame({"a": [1, None, 3]})
    return clean(frame)["a"].tolist() == [1, 3] and frame.shape == (3, 1)
def _tagged():
    frame = pd.DataFrame({"a": [1, 2]})
    tag(frame)
    return frame["tag"].tolist() == [1, 1]
"""


def _check(question: Question) -> str:
    rows = question.check if question.check.startswith("(") else f"({question.check})"
    text = f'grader.check("{question.key}: works", [{rows}])'
    used = [part for part in TESTING.split("\ndef ")[1:] if part.split("(")[0] in rows]
    helpers = "\n".join(f"def {part.rstrip()}" for part in used)
    return f"{helpers}\n{text}" if helpers else text


MARKS = "_marks = {" + ", ".join(f'"{each.key}": 1' for each in QUESTIONS) + "}\ngrader = Grader(_marks)"
SOURCE = notebook(
    MARKS, HELPERS, *(solution(each.model) for each in QUESTIONS),
    *(hidden(_check(each)) if number % 2 else _check(each) for number, each in enumerate(QUESTIONS)), setup=SETUP,
)  # fmt: skip


def answered(replaced: dict[str, str], backwards: bool = False) -> str:
    """A submission with the model solutions except for these answers; `backwards` reverses the order of cells."""
    cells = [MARKS, HELPERS, *(replaced.get(each.key, each.model) for each in QUESTIONS)]
    return notebook(*(reversed(cells) if backwards else cells), setup=SETUP)
