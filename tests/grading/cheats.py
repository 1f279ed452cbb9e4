"""Cheats that a student might try: a name, the questions that must earn nothing, and the replaced answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.grading.notebooks import ANSWERS, CHECKS, DATA, MARKS, SECRET, SETUP, notebook, submission


@dataclass(frozen=True)
class Cheat:
    """`questions` must earn nothing; `spoils` may earn nothing too, because the cheat removes their answers."""

    name: str
    questions: tuple[str, ...]
    replaced: Mapping[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    setup: str = SETUP
    head: str = ""
    spoils: tuple[str, ...] = ()
    whole: str = ""

    def text(self) -> str:
        return self.whole or submission(self.replaced, *self.more, setup=self.setup, head=self.head)


LIAR = """
def _yes(*arguments, **named):
    return True
def _zero(*arguments, **named):
    return 0
class Liar:
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _yes
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = __abs__ = _zero
    __hash__ = lambda self: hash(42)
    __iter__ = lambda self: iter([])
    all = any = equals = _yes
    def __getattr__(self, name):
        return _yes
"""


def _liar(body: str, value: str) -> str:
    return f"{LIAR}\n{body}\nanswer = {value}"


def _objects() -> Iterator[Cheat]:
    """Objects that pretend to be other values."""
    yield Cheat("an object that equals everything", ("answer",), {"answer": _liar("", "Liar()")})
    yield Cheat("an object for every answer", ("answer", "squares", "array"), {
        "answer": _liar("", "Liar()"), "squares": "squares = Liar()", "array": "array = Liar()",
    })  # fmt: skip
    for kind, value in (("float", "1.0"), ("int", "7"), ("complex", "1j"), ("str", "'x'"), ("bytes", "b'x'")):
        body = f"class Number({kind}):\n" + "".join(
            f"    {name} = _yes\n" for name in ("__eq__", "__ne__", "__lt__", "__gt__", "__le__", "__ge__")
        ) + "    __sub__ = __rsub__ = __abs__ = _zero\n    __hash__ = lambda self: hash(42)\n"  # fmt: skip
        yield Cheat(f"a {kind} with lying methods", ("answer",), {"answer": _liar(body, f"Number({value})")})
    yield Cheat("a float whose conversion lies", ("answer",), {"answer": """
        class Number(float):
            def __float__(self): return 42.0
            def __int__(self): return 42
            def __pos__(self): return 42.0
            def __add__(self, other): return 42.0
            def __repr__(self): return "42.0"
        answer = Number(1)
    """})  # fmt: skip
    yield Cheat("a class that lies about its class", ("answer",), {"answer": _liar("""
class Other(Liar):
    @property
    def __class__(self):
        return int
""", "Other()")})  # fmt: skip
    yield Cheat("a metaclass that equals everything", ("answer",), {"answer": _liar("""
class Meta(type):
    __eq__ = _yes
    __hash__ = lambda self: hash(42)
    __sub__ = __rsub__ = _zero
class Other(metaclass=Meta):
    pass
""", "Other")})  # fmt: skip
    yield Cheat("a descriptor", ("answer",), {"answer": _liar("""
class Descriptor(Liar):
    def __get__(self, instance, owner):
        return 42
    def __set__(self, instance, value):
        pass
""", "Descriptor()")})  # fmt: skip
    yield Cheat("a list with lying methods", ("squares",), {"squares": LIAR + """
class Squares(list):
    __eq__ = __contains__ = _yes
    __len__ = lambda self: 10
    __iter__ = lambda self: iter([i * i for i in range(10)])
    __getitem__ = lambda self, place: 9
squares = Squares([1])
"""})  # fmt: skip
    yield Cheat("a dict and a tuple with lying methods", ("squares", "answer"), {"squares": LIAR + """
class Squares(tuple):
    __eq__ = __contains__ = _yes
    __len__ = lambda self: 10
    __iter__ = lambda self: iter([i * i for i in range(10)])
squares = Squares((1,))
""", "answer": "class Answer(dict):\n    __eq__ = lambda self, other: True\nanswer = Answer()"})  # fmt: skip
    yield Cheat("an array with functions of its own", ("array",), {"array": """
        class Array(np.ndarray):
            def __array_ufunc__(self, *arguments, **named): return np.True_
            def __array_function__(self, *arguments, **named): return True
            def __eq__(self, other): return np.ones(5, bool)
            def all(self): return True
        array = np.zeros(5).view(Array)
    """})  # fmt: skip
    yield Cheat("an object that NumPy asks", ("array",), {"array": """
        class Array:
            def __array_ufunc__(self, *arguments, **named): return np.True_
            def __array_function__(self, *arguments, **named): return True
            def __array__(self, *arguments, **named): return np.linspace(0, 1, 5)
            def __eq__(self, other): return np.ones(5, bool)
            __array_priority__ = 1e9
        array = Array()
    """})  # fmt: skip
    yield Cheat("an array of objects", ("array",), {
        "array": LIAR + "\narray = np.array([Liar() for _ in range(5)], dtype=object)",
    })  # fmt: skip
    yield Cheat("a masked array that hides all", ("array",), {"array": "array = np.ma.masked_all(5)"})
    yield Cheat("a named tuple that lies", ("squares",), {"squares": """
        from collections import namedtuple
        class Squares(namedtuple("S", "a b")):
            def __eq__(self, other): return True
            def __len__(self): return 10
        squares = Squares(1, 2)
    """})  # fmt: skip
    yield Cheat("a module as the answer", ("answer",), {"answer": "import sys\nanswer = sys.modules['math']"})
    yield Cheat("constants that mean something else", ("answer", "squares"), {
        "answer": "answer = NotImplemented", "squares": "squares = ...",
    })  # fmt: skip
    yield Cheat("truth that changes from call to call", ("even",), {"even": """
        class Truth:
            def __bool__(self): return False
            def __eq__(self, other): return True
        def is_even(number):
            return Truth() if number == 4 else number or Truth()
    """})  # fmt: skip
    yield Cheat(
        "an object that a function returns", ("mean",), {"mean": LIAR + "\ndef mean(values):\n    return Liar()"}
    )
    yield Cheat("a callable object that is the function", ("mean",), {
        "mean": LIAR + "\nclass Mean(Liar):\n    def __call__(self, *values): return self\nmean = Mean()",
    })  # fmt: skip
    yield Cheat("a comparison that raises what passes", ("answer",), {"answer": """
        class Answer:
            def __eq__(self, other): raise StopIteration
            def __sub__(self, other): raise mo.stop(True)
        answer = Answer()
    """})  # fmt: skip
    yield Cheat("pickles that run code", ("answer", "squares"), {"answer": """
        class Answer:
            def __reduce__(self): return (exec, ("import os; os._exit(0)",))
        answer = Answer()
    """, "squares": "import pickle\nsquares = pickle.dumps(Answer())"})  # fmt: skip


PATCHES = {
    "check": "import mograder.runtime\nmograder.runtime.check = lambda *a, **n: None\n"
             "mograder.runtime.Grader.check = lambda *a, **n: None",
    "builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda *a: True\n"
                "builtins.len = lambda x: 10\nbuiltins.sum = lambda x: 285\nbuiltins.sorted = lambda x: [9] * 9",
    "numpy.testing": "np.testing.assert_allclose = np.allclose = np.isclose = lambda *a, **n: True\nnp.linspace = None",
    "math and statistics": "math.isclose = lambda *a, **n: True\nstatistics.mean = lambda x: 0",
    "json": "import json\njson.dumps = lambda *a, **n: '{\"v\":42}'\njson.loads = lambda *a, **n: {'v': 42}",
    "marimo": "mo.stop = mo.callout = mo.md = lambda *a, **n: None\nmo.App = None",
    "operator": "import operator\noperator.__eq__ = operator.eq = lambda a, b: True\noperator.__sub__ = lambda a, b: 0",
}  # fmt: skip


def _patches() -> Iterator[Cheat]:
    """Changing functions that the checks would use if they ran in the same process."""
    wrong = {"answer": "answer = 40", "array": "array = np.zeros(5)"}
    for name, code in PATCHES.items():
        spoils = ("mean", "squares", "stack", "honest", "apply", "even") if name == "builtins" else ()
        yield Cheat(f"patching {name}", ("answer", "array"), wrong, (code,), spoils=spoils)
    yield Cheat("patching what speaks with the checks", ("answer",), {"answer": """
        answer = 40
        import sys
        _values, _peer = sys.modules["inside.values"], sys.modules["inside.peer"]
        _old = _values.Encoder.encode
        def _encode(self, value, depth=0, *, again=True):
            if type(value) is int and value == 40:
                names = ["__eq__", "__sub__", "__rsub__", "__abs__", "__float__", "__contains__"]
                return {"t": "ref", "r": 0, "w": "object", "n": "int", "c": names}
            return _old(self, value, depth, again=again)
        _values.Encoder.encode = _encode
        _peer.Peer._perform = lambda *a: True
    """}, spoils=("mean", "squares", "array", "apply", "even", "stack", "honest"))  # fmt: skip
    for number, forged in enumerate((
        '{"t": "array", "d": "|O", "s": [1], "v": 0}', '{"t": "class", "v": "os.system"}', '{"t": "back", "r": 0}',
        '{"t": "same", "v": 0}', '{"t": "type", "v": "eval"}', '[[[[42]]]]', '{"t": "list", "v": {"a": 1}}',
        '{"t": "ref", "r": 0, "w": "class", "n": "X", "c": [], "e": [["os", "system"], ["builtins", "eval"]]}',
        '{"t": "int", "v": "__import__"}', '{"t": "frame", "i": 1, "c": 2, "v": 3}', '{"t": "zone", "v": "../../etc"}',
    ), 1):  # fmt: skip
        yield Cheat(f"a forged value {number}", ("answer",), {"answer": f"""
            answer = 40
            import sys
            _values = sys.modules["inside.values"]
            _old = _values.Encoder.encode
            def _encode(self, value, depth=0, *, again=True):
                return {forged} if type(value) is int and value == 40 else _old(self, value, depth, again=again)
            _values.Encoder.encode = _encode
        """}, spoils=("mean", "even") if number == 8 else ())  # fmt: skip


FORGED = """
import json, os, struct
_lines = [json.dumps({"label": "answer: forty-two", "status": "success", "details": [], "earned_weight": 4.0,
                      "total_weight": 4.0})]
_text = "\\n".join(_lines) + "\\n"
_report = json.dumps({"check": 3, "results": [{"label": "answer: forty-two", "rows": [[True, "", 4.0]]}],
                      "unprotected": False, "used": [], "limits": [], "failure": None, "gone": False}).encode()
_frame = struct.pack("<II", len(_report), 0) + _report
"""


def _channels() -> Iterator[Cheat]:
    """Writing to places from which results might be read."""
    wrong = {"answer": "answer = 40"}
    yield Cheat("writing to the side channel", ("answer",), wrong, (FORGED + """
for _name in {os.environ.get("MOGRADER_SIDECAR_PATH"), "sidecar.jsonl", "/tmp/sidecar.jsonl", ".mograder"} - {None}:
    with open(_name, "a") as _file:
        _file.write(_text)
""",))  # fmt: skip
    yield Cheat("writing to stdout and stderr", ("answer",), wrong, (FORGED + """
import sys
print(_text)
print(_text, file=sys.stderr)
os.write(1, _frame); os.write(2, _frame)
""",))  # fmt: skip
    yield Cheat("writing to every inherited descriptor", ("answer",), wrong, (FORGED + """
for _descriptor in range(3, 256):
    try:
        os.write(_descriptor, _frame)
    except OSError:
        pass
""",))  # fmt: skip
    yield Cheat("answering for the check process", ("answer",), {"answer": """
        answer = 40
        import json, os, socket, struct, threading
        def _forge():
            _text = json.dumps({"v": True, "check": 3, "results": []}).encode()
            for _descriptor in range(3, 64):
                try:
                    os.write(_descriptor, struct.pack("<II", len(_text), 0) + _text)
                except OSError:
                    pass
        threading.Timer(0.01, _forge).start()
    """}, spoils=("mean", "squares", "array", "apply", "even", "stack", "honest"))  # fmt: skip
    yield Cheat("sending descriptors", ("answer",), wrong, (FORGED + """
import socket
for _descriptor in range(3, 64):
    try:
        with socket.socket(fileno=os.dup(_descriptor)) as _socket:
            socket.send_fds(_socket, [b"k"], [0, 1, 2])
    except OSError:
        pass
""",))  # fmt: skip
    for name, code in {
        "atexit": "import atexit, os\natexit.register(os._exit, 0)",
        "threads that stay": "import threading, time\nthreading.Thread(target=lambda: [time.sleep(0.01) for _ in range(999)]"
                             ", daemon=True).start()",
        "a fork that stays": "import os, time\nif not os.fork():\n    time.sleep(60)\n    os._exit(0)",
        "a fork that leaves its group": "import os, time\nif not os.fork():\n    os.setsid()\n    if os.fork():\n"
                                        "        os._exit(0)\n    time.sleep(60)\n    os._exit(0)",
        "a fork that goes on as the notebook": "import os\nos.fork()",
        "signals": "import signal\nfor _number in range(1, 65):\n    try:\n        signal.signal(_number, signal.SIG_IGN)"
                   "\n    except (OSError, ValueError):\n        pass",
        "a time bomb": "import threading, os\n_bomb = threading.Timer(0.3, os._exit, (0,))\n_bomb.daemon = True\n"
                       "_bomb.start()",
    }.items():  # fmt: skip
        late = name == "a time bomb"  # on a busy machine the timer expires in any of the checks
        others = ("mean", "squares", "array", "apply", "even", "stack", "honest") if late else ()
        yield Cheat(name, ("answer",), wrong, (code,), spoils=others)


SEEK = """
import gc, glob, linecache, os, re, sys
_needle = re.compile(r"(plum-\\d\\d-)(kiwi-\\d\\d)")
def _look(text):
    text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    found = _needle.search(text)
    return found[0] if found else None
_found = None
def _try(read):
    global _hit
    try:
        return _look(read())
    except BaseException:
        return None
"""


def _secrets() -> Iterator[Cheat]:
    """Reading the tests."""
    seeks = {
        "reading every file": """
            def _files():
                for _folder, _, _names in os.walk("/"):
                    if _folder.startswith(("/usr", "/sys", "/proc", "/lib")) or "site-packages" in _folder:
                        continue
                    for _name in _names:
                        yield os.path.join(_folder, _name)
            _hits = [_try(lambda: open(_file, "rb").read(1 << 20)) for _file in _files()]
        """,
        "reading /proc": """
            _hits = []
            for _pattern in ("/proc/*/environ", "/proc/*/cmdline", "/proc/*/maps", "/proc/*/fd/*", "/proc/*/cwd/*",
                             "/proc/*/root/home/*/*", "/proc/*/task/*/comm", "/proc/1/*"):
                for _file in glob.glob(_pattern):
                    _hits.append(_try(lambda: os.readlink(_file) if "/fd/" in _file else open(_file, "rb").read(1 << 16)))
        """,
        "reading the memory of the parent": """
            _hits = []
            for _process in (1, os.getppid(), "self"):
                try:
                    with open(f"/proc/{_process}/mem", "rb", 0) as _memory, open(f"/proc/{_process}/maps") as _maps:
                        for _line in _maps:
                            _a, _b = (int(x, 16) for x in _line.split()[0].split("-"))
                            _memory.seek(_a)
                            _hits.append(_try(lambda: _memory.read(min(_b - _a, 1 << 22))))
                except OSError:
                    pass
        """,
        "reading memory with ctypes": """
            import ctypes
            _hits = []
            _library = ctypes.CDLL(None, use_errno=True)
            for _process in (1, os.getppid(), os.getpid()):
                _library.ptrace(16, _process, 0, 0)
                for _line in _try(lambda: open(f"/proc/{_process}/maps").read()) or ():
                    pass
        """,
        "walking the objects": """
            _hits = [_try(lambda: _each) for _each in gc.get_objects() if isinstance(_each, (str, bytes, list, dict, tuple))
                     and len(_each) < 5000]
        """,
        "walking the frames": """
            _hits, _frame = [], sys._getframe()
            while _frame is not None:
                _hits.append(_try(lambda: repr(_frame.f_locals) + repr(_frame.f_code.co_consts)))
                _frame = _frame.f_back
        """,
        "looking into linecache and modules": """
            _hits = [_try(lambda: "".join(_entry[2])) for _entry in linecache.cache.values() if len(_entry) > 2]
            _hits += [_try(lambda: repr(vars(_module))) for _module in list(sys.modules.values())
                      if getattr(_module, "__name__", "").startswith(("inside", "mograder", "__main__"))]
        """,
        "reading the environment": "_hits = [_try(lambda: repr(dict(os.environ)))]",
        "executing the notebook's own file": """
            _hits = [_try(lambda: open(__file__).read().replace("plum-", "PLUM-"))]
            _names = {"__name__": "notebook", "__file__": __file__}
            exec(compile(open(__file__).read(), __file__, "exec"), _names)
        """,
        "asking the network": """
            import socket
            _hits = []
            for _address in (("127.0.0.1", 80), ("1.1.1.1", 53), ("169.254.169.254", 80)):
                try:
                    socket.create_connection(_address, 0.2).close()
                    _hits.append("reached-the-network")
                except OSError:
                    pass
            assert not _hits, "the network can be reached"
        """,
    }
    for name, code in seeks.items():
        cell = SEEK + "".join(f"{line[12:]}\n" for line in code.splitlines()) if code.startswith("\n") else SEEK + code
        cell += "\n_found = next((_hit for _hit in _hits if _hit), None)\nsecret = _found"
        yield Cheat(name, ("secret",), {"secret": cell})
    yield Cheat("arguments: walking up the stack", ("mean",), {"mean": """
        import sys
        def mean(values):
            _frame, _seen = sys._getframe(), []
            while _frame is not None:
                _seen += [v for v in _frame.f_locals.values() if isinstance(v, float)]
                _frame = _frame.f_back
            return _seen[-1] if _seen else 0.0
    """})  # fmt: skip
    yield Cheat("arguments: changing those of the tests", ("mean",), {"mean": """
        def mean(values):
            values[:] = [0.0]
            return 0.0
    """})  # fmt: skip
    yield Cheat("arguments: making their sum NaN", ("mean",), {"mean": """
        def mean(values):
            values.clear()
            values.append(1.0)
            return 1.0
    """})  # fmt: skip
    yield Cheat("callbacks: reading what they know", ("apply",), {"apply": """
        def apply(function, values):
            found = []
            for path in (("__globals__",), ("__code__", "co_consts"), ("__closure__",), ("__self__",), ("__defaults__",),
                         ("__class__", "__mro__"), ("gi_frame",), ("__builtins__",), ("_peer",), ("__dict__",)):
                thing = function
                for name in path:
                    try:
                        thing = getattr(thing, name)
                    except Exception:
                        break
                else:
                    try:
                        found.append(thing["_expected"])
                    except Exception:
                        pass
            return found[0] if found else []
    """})  # fmt: skip
    yield Cheat("callbacks: one that never ends", ("apply",), {"apply": """
        def apply(function, values):
            while True:
                function(1)
    """})  # fmt: skip


def _structure() -> Iterator[Cheat]:
    """Changing the notebook."""
    wrong = {"answer": "answer = 40"}
    answers = ANSWERS | {"secret": "secret = ..."} | wrong
    cells = list(answers.values())
    checks = [CHECKS[key] for key in CHECKS if "HIDDEN" not in CHECKS[key]]
    yield Cheat("a changed marks cell", ("answer",), whole=notebook(MARKS.replace("5", "500"), DATA, *cells, *checks))
    yield Cheat("deleted check cells", ("answer",), whole=notebook(MARKS, DATA, *cells))
    passing = 'grader.check("answer: forty-two", [(True, "fine", 100)])'
    yield Cheat("a rewritten check cell", ("answer",), whole=notebook(MARKS, DATA, *cells, passing, *checks[1:]))
    yield Cheat("a renamed check", ("answer",), whole=notebook(
        MARKS, DATA, *cells, 'grader.check("squares: forty-two", [(True, "")])', *checks[1:],
    ))  # fmt: skip
    yield Cheat("a doubled check", ("answer",), whole=notebook(MARKS, DATA, *cells, passing, passing, *checks))
    shadow = "class grader:\n    check = scores = staticmethod(lambda *a, **n: True)"
    yield Cheat("a grader of one's own", ("answer",), whole=notebook(shadow, DATA, *cells, *checks))
    yield Cheat("a check of one's own in the setup", ("answer",), wrong, setup=SETUP + "\ncheck = lambda *a: True")
    yield Cheat("marks of one's own", ("answer",), wrong, ('_marks = {"answer": 1000}',))
    yield Cheat("other data than the tests have", ("mean",), whole=notebook(
        MARKS, "numbers = [1.0]", *(ANSWERS | {"secret": "secret = ...", "mean": "def mean(values):\n    return 1.0"}).values(),
        *checks,
    ))  # fmt: skip
    yield Cheat("app.run inside", ("answer",), wrong, ("""
import marimo
_inner = marimo.App()
@_inner.cell
def _():
    from mograder.runtime import check
    check("answer: forty-two", [(True, "")])
    return
_inner.run()
""",))  # fmt: skip
    yield Cheat("a PEP 723 block that lies", ("answer",), wrong, head=(
        '# /// script\n# requires-python = ">=2"\n# dependencies = ["marimo", "no-such-package==9", "evil @ file:///x"]\n'
        '# mograder-assignment = "other"\n# mograder-hidden-tests = false\n# ///\n'
    ))  # fmt: skip
    yield Cheat("code outside the cells", ("answer",), whole=submission(wrong).replace(
        "app = marimo.App()", "import os, builtins\nos.environ['MOGRADER'] = '1'\nbuiltins.abs = lambda x: 0\napp = marimo.App()"
    ))  # fmt: skip
    yield Cheat("a known secret in a comment", ("secret",), {"secret": f"secret = None  # {SECRET}"})
    yield Cheat("stopping the check", ("even",), {"even": "def is_even(number):\n    mo.stop(True)"})
    yield Cheat("ending the loop of the tests", ("even",), {"even": "def is_even(number):\n    raise StopIteration"})
    yield Cheat("leaving by exit", ("even",), {"even": "import sys\ndef is_even(number):\n    sys.exit(0)"})
    yield Cheat("leaving at once", ("even",), {"even": "import os\ndef is_even(number):\n    os._exit(0)"})
    yield Cheat("an exception that pretends", ("even",), {"even": """
        class Passed(BaseException):
            __module__ = "inside.errors"
        Passed.__qualname__ = "OutOfTime"
        def is_even(number):
            raise Passed("all checks passed")
    """})  # fmt: skip


CHEATS: tuple[Cheat, ...] = (*_objects(), *_patches(), *_channels(), *_secrets(), *_structure())
