"""Both ends of the conversation between answers and checks: requests, replies, and the objects that each has lent.

One thread, strictly nested: while a request waits for its reply, the other side may ask back (a callback). Changes that
a call makes in its arguments come back with its reply. `Rules` decides what may be asked of this side's objects.
"""

from __future__ import annotations

import math
import operator
import os
import signal
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from . import errors, references, tables, values
from .frames import Channel, Closed, FrameError, refuse
from .references import Reference

MAX_OBJECTS = 1_000_000
MAX_NESTED = 60
_BUILTINS: dict[str, Any] = {
    "__len__": len, "__iter__": iter, "__bool__": bool, "__int__": int, "__float__": float, "__complex__": complex,
    "__round__": round, "__trunc__": math.trunc, "__floor__": math.floor, "__ceil__": math.ceil, "__divmod__": divmod,
    "__reversed__": reversed, "__repr__": repr, "__str__": str, "__format__": format, "__hash__": hash,
    "__enter__": lambda it: type(it).__enter__(it), "__exit__": lambda it, *error: type(it).__exit__(it, *error),
}  # fmt: skip


class Rules(Protocol):
    """What one side lets the other do, and what it notes."""

    filename: str

    def permits(self, operation: str, target: object, name: str) -> bool:
        """Whether the other side may do this to an object of ours."""

    def calling(self, target: object) -> AbstractContextManager[None]:
        """While the other side's call of an object of ours runs, or (None) the exchange of messages about it."""
        ...

    def may(self, group: str) -> bool:
        """Whether an object of the other side may "compare", do "arithmetic", or be given arguments ("method")."""

    def changes(self, target: object) -> bool:
        """Whether a change in this argument is taken over; called before it is."""

    def note(self, what: str, detail: str) -> None:
        """A limit that was reached: size or calls."""


class Peer:
    """One end. `calls` limits the requests that it sends until `renew`, `limited` its work for one request of theirs.

    With `limited` this is the answering end: its own time limit takes effect between two messages, never within one,
    and ends the work that was requested. At the other end a time limit ends the conversation.
    """

    def __init__(
        self, channel: Channel, rules: Rules, calls: int, answers: Mapping[str, object] | None = None,
        limited: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:  # fmt: skip
        self._answers_only = limited is not None
        self._limited = limited or nullcontext
        self._channel = channel
        self._rules = rules
        self._calls = self._most_calls = calls
        self._answers = answers or {}
        self._lent: list[Any] = []
        self._places: dict[int, int] = {}
        self._references: dict[int, Any] = {}
        self._types: dict[Any, type[Reference]] = {}
        self._errors: dict[type, int] = {}
        self._depth = 0
        self._process = os.getpid()
        self.broken = False

    def renew(self) -> None:
        """Counts calls from 0 again."""
        self._calls = self._most_calls

    # asking

    def request(
        self, operation: str, place: int, name: str = "", arguments: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """The result of an operation at the other end. Raises its error, AnswersGone, TooManyCalls, TooLarge."""
        with self._rules.calling(None):
            return self._request(operation, place, name, arguments, named or {})

    def _request(self, operation: str, place: int, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self._calls -= 1
        if self._calls < 0:
            self._rules.note("calls", "")
            raise errors.TooManyCalls("too many calls between the checks and the submission")
        if self.broken:
            raise errors.AnswersGone("the submission's process has ended")
        seen = values.Seen()
        encoder = values.Encoder(self, seen)
        try:
            document = {
                "op": operation, "r": place, "n": name, "a": [encoder.encode(each) for each in arguments],
                "k": [[key, encoder.encode(each)] for key, each in named.items()],
            }  # fmt: skip
        except values.NotPlain as error:
            self._rules.note("size", str(error))
            raise errors.TooLarge(str(error)) from None
        finished = False
        try:
            with held_signals() if self._answers_only else nullcontext():
                self._channel.send(document, encoder.blobs)
                reply, blobs = self._wait()
                finished = True
        except (FrameError, OSError) as error:
            raise errors.AnswersGone(str(error)) from None
        finally:
            self.broken = self.broken or not finished  # interrupted between request and reply
        return self._result(reply, blobs, seen, operation)

    def _wait(self) -> tuple[dict[str, Any], list[bytes]]:
        while True:
            document, blobs = self._channel.receive()
            if type(document) is not dict:
                refuse("not a message")
            if "op" not in document:
                return document, blobs
            self._answer(document, blobs)

    def _result(self, reply: dict[str, Any], blobs: list[bytes], seen: values.Seen, operation: str) -> Any:
        sent = len(seen.objects)
        decoder = values.Decoder(self, blobs, seen=seen, known=seen)
        try:
            error = reply.get("error")
            arguments = None if error is None else tuple(decoder.many(error.get("args", []), 0))
            result = decoder.decode(reply.get("v"))
            for number, document in reply.get("after", []):
                if type(number) is not int or not 0 <= number < sent:
                    refuse("no such argument")
                target = seen.objects[number]
                new = decoder.decode(document)
                if self._rules.changes(target):
                    replace(target, new)
        except (FrameError, TypeError, ValueError, AttributeError, IndexError) as fault:
            raise errors.NoValue(f"what the submission gives is no value: {fault}") from None
        if error is None:
            return result
        raise self._error(error, arguments or (), operation) from None

    def _error(self, error: dict[str, Any], arguments: tuple[Any, ...], operation: str) -> BaseException:
        text = str(error.get("text", ""))[:2_000]
        if error.get("limit") == "time":
            return errors.OutOfTime(text)
        if error.get("limit") == "size":
            text = (
                text if text in values.REASONS else values.TOO_LARGE
            )  # instructors and students read it, so no text of the submission
            self._rules.note("size", text)
            return errors.TooLarge(text)
        kind = errors.class_of(error.get("kinds"))
        if type(error.get("class")) is int:
            own = self._references.get(error["class"])
            kind = own if isinstance(own, type) and issubclass(own, BaseException) else kind
        if operation == "next" and kind is StopIteration:
            return StopIteration(*arguments)
        if issubclass(kind, (StopIteration, StopAsyncIteration)):
            # It would end a loop of the tests: all(map(f, …)) would be true.
            kind, text, arguments = RuntimeError, f"{kind.__name__} {text}".strip(), ()
        return errors.rebuild(kind, arguments, text, error.get("line"))

    # being asked

    def serve(self) -> None:
        """Answers until the other side is gone. Raises Closed then."""
        while True:
            document, blobs = self._channel.receive()
            if type(document) is not dict or "op" not in document:
                refuse("not a request")
            self._answer(document, blobs)

    def _answer(self, document: dict[str, Any], blobs: list[bytes]) -> None:
        seen = values.Seen()
        before: list[Any] = []
        result: Any = None
        error: BaseException | None = None
        self._depth += 1
        try:
            if self._depth > MAX_NESTED:
                raise RecursionError("callbacks are nested too deeply")
            decoder = values.Decoder(self, blobs, seen=seen)
            arguments = decoder.many(document.get("a", []), 0)
            named = {str(key): decoder.decode(each) for key, each in document.get("k", [])}
            before = [self._state(each, seen) for each in seen.objects]
            with self._limited() if self._depth == 1 else nullcontext():
                result = self._perform(document["op"], document.get("r"), document.get("n", ""), arguments, named)
        except (errors.AnswersGone, errors.TooManyCalls):
            raise
        except errors.OutOfTime as caught:
            if not self._answers_only:
                raise
            error = caught
        except BaseException as caught:  # noqa: BLE001 - the other end gets it, whatever it is
            error = caught
        finally:
            self._depth -= 1
        if os.getpid() != self._process:  # a copy of this process that a function has forked must not answer
            os._exit(0)
        self._reply(result, error, seen, before)

    def _reply(self, result: Any, error: BaseException | None, seen: values.Seen, before: list[Any]) -> None:
        encoder = values.Encoder(self, seen)
        reply: dict[str, Any] = {}
        try:
            if error is None:
                reply["v"] = encoder.encode(result)
            else:
                reply["error"] = self._described(error, encoder)
            changed = [
                number for number, state in enumerate(before) if self._state(seen.objects[number], seen) != state
            ]
            if changed:
                reply["after"] = [[number, encoder.encode(seen.objects[number], again=False)] for number in changed]
            self._channel.send(reply, encoder.blobs)
        except (Closed, OSError, errors.OutOfTime):
            raise
        except (values.NotPlain, RecursionError, MemoryError, FrameError) as fault:
            text = str(fault) if isinstance(fault, values.NotPlain) else values.TOO_LARGE
            self._channel.send({"error": {"text": text, "limit": "size"}})
        except BaseException as fault:  # noqa: BLE001 - an object whose class does not even let itself be looked at
            self._channel.send({"error": errors.describe(fault, self._rules.filename)})

    def _described(self, error: BaseException, encoder: values.Encoder) -> dict[str, Any]:
        document = errors.describe(error, self._rules.filename)
        if isinstance(error, errors.OutOfTime):
            document["limit"] = "time"
        if type(error).__module__ == "__main__":
            document["class"] = self.reference(type(error))["r"]
        try:
            document["args"] = [encoder.encode(each) for each in tuple(error.args)[:10]]
        except BaseException:  # noqa: BLE001 - arguments that cannot be sent are left out
            document["args"] = []
        return document

    def _state(self, value: object, seen: values.Seen) -> Any:
        """A picture of a mutable object, to see whether a call changes it."""
        encoder = values.Encoder(self, seen)
        try:
            return encoder.encode(value, again=False), encoder.blobs
        except (values.NotPlain, RecursionError):
            return None

    def _perform(self, operation: str, place: Any, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if operation == "answer":
            return self._answers[name]
        target = self._mine(place)
        if not self._rules.permits(operation, target, name):
            raise AttributeError(f"{name or operation} of {type(target).__name__} cannot be used here")
        if operation == "call":
            with self._rules.calling(target):
                return target(*arguments, **named)
        if operation == "next":
            return next(target)
        if operation in ("getattr", "setattr", "delattr"):
            attribute: Any = {"getattr": getattr, "setattr": setattr, "delattr": delattr}[operation]
            return attribute(target, name, *arguments)
        if operation == "dir":
            return [each for each in dir(target) if type(each) is str]
        if operation in ("isinstance", "issubclass"):
            return isinstance(arguments[0], target) if operation == "isinstance" else issubclass(arguments[0], target)
        if operation == "op":
            return _operate(name, target, arguments)
        return refuse("no such request")

    # objects lent

    def _mine(self, place: Any) -> Any:
        if type(place) is not int or not 0 <= place < len(self._lent):
            refuse("no such object")
        return self._lent[place]

    def reference(self, value: Any) -> dict[str, Any]:
        """The document of an object that stays here, or of one that came from the other end."""
        if isinstance(value, Reference) and value._peer is self:
            return {"t": "back", "r": value._place}
        if isinstance(value, type) and value in self._errors:
            return {"t": "back", "r": self._errors[value]}
        place = self._places.get(id(value))
        if place is None:
            if len(self._lent) >= MAX_OBJECTS:
                raise values.NotPlain(values.TOO_LARGE)
            place = self._places[id(value)] = len(self._lent)
            self._lent.append(value)
        kind = type(value)
        document: dict[str, Any] = {"t": "ref", "r": place, "w": _what(value), "n": _name(value)}
        document["c"] = references.capabilities(kind)
        if document["w"] == "class":
            if issubclass(value, BaseException):
                document["e"] = [[base.__module__, base.__qualname__] for base in value.__mro__[:20]]
        elif document["w"] == "object" and kind.__module__ == "__main__":
            document["y"] = self.reference(kind)
        return document

    def resolve(self, document: dict[str, Any], decoder: values.Decoder) -> object:
        place = document["r"]
        if document["t"] == "back":
            return self._mine(place)
        if type(place) is not int or not 0 <= place < MAX_OBJECTS:
            refuse("no such object")
        known = self._references.get(place)
        if known is not None:
            return known
        what, name = document["w"], str(document["n"])[:100]
        if what == "class" and "e" in document:
            own = errors.class_of(document["e"])
            made: Any = type(name, (own if issubclass(own, Exception) else RuntimeError,), {"__module__": "submission"})
            self._errors[made] = place
        else:
            type_place = None
            if type(document.get("y")) is dict:
                type_place = document["y"]["r"]
                self.resolve(document["y"], decoder)
            made = references.make(
                self._type(name, document["c"], what, type_place), self, place, what, name, type_place
            )
        self._references[place] = made
        return made

    def _type(self, name: str, names: Any, what: str, type_place: Any) -> type[Reference]:
        if type(names) is not list or any(type(each) is not str for each in names):
            refuse("not a list of names")
        key = (name, frozenset(names), what, type_place)
        if key not in self._types:
            self._types[key] = references.reference_type(name, key[1], what == "class", type_place)
        return self._types[key]

    def class_of(self, reference: Reference) -> Any:
        return None if reference._type is None else self._references.get(reference._type)

    def may(self, group: str) -> bool:
        return self._rules.may(group)

    def fetch(self, name: str) -> Any:
        """The value of a name on the other side. Raises what reading it raises there."""
        return self.request("answer", 0, name)


@contextmanager
def held_signals() -> Iterator[None]:
    """Time limits take effect only after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPROF, signal.SIGALRM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def replace(target: Any, new: Any) -> None:
    """Gives a list, dict, set, bytearray, deque, array or frame the contents of another one."""
    if isinstance(target, list) and isinstance(new, list):
        target[:] = new
    elif (isinstance(target, dict) and isinstance(new, dict)) or (isinstance(target, set) and isinstance(new, set)):
        target.clear()
        target.update(new)
    elif isinstance(target, bytearray) and isinstance(new, bytearray):
        target[:] = new
    elif hasattr(target, "extendleft") and hasattr(new, "extendleft"):
        target.clear()
        target.extend(new)
    else:
        tables.restore(target, new)


def _operate(name: str, target: Any, arguments: list[Any]) -> Any:
    if name in _BUILTINS:
        return _BUILTINS[name](target, *arguments)
    if name in references.REFLECTED:
        plain = references.REFLECTED[name]
        return divmod(arguments[0], target) if plain == "__divmod__" else getattr(operator, plain)(arguments[0], target)
    if name in (*references.BINARY, *references.IN_PLACE, *references.READING, *references.COMPARISONS, "__contains__"):
        return getattr(operator, name)(target, *arguments)
    return refuse("no such operation")


def _what(value: Any) -> str:
    kind = type(value)
    if issubclass(kind, type):
        return "class"
    return _KINDS.get(kind, "object")


_KINDS = {
    types.FunctionType: "function", types.BuiltinFunctionType: "builtin", types.MethodType: "method",
    types.GeneratorType: "generator", types.CoroutineType: "coroutine", types.CodeType: "code",
    types.ModuleType: "module",
}  # fmt: skip


def _name(value: Any) -> str:
    named = value if isinstance(value, type) else type(value)
    name = type.__dict__["__name__"].__get__(named)
    return str(name)[:100]
