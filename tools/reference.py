#!/usr/bin/env python3
"""Writes docs/reference from the code: protocol, OpenAPI, settings, commands, modules.

    python tools/reference.py            write
    python tools/reference.py --check    write nothing; exit 1 and name the stale files when they differ

Invariant: what these pages say about the code is read from the code, and does not depend on the version of Python. The
few texts below are compared with the code: a setting, an exit code or an error without a text fails.
"""
# ruff: noqa: T201  (a script that talks to a person)

from __future__ import annotations

import ast
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import msgspec

import mograder
from mograder import config, course_file
from mograder.cli import mograder as command_line
from mograder.domain.access import Allow
from mograder.domain.errors import MograderError
from mograder.wire import messages
from mograder.wire.endpoints import (
    CHECKSUM_HEADER,
    ENDPOINTS,
    HEADERS,
    KIB,
    MIB,
    TROUBLE,
    VERSION_HEADER,
    Content,
    Endpoint,
)

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "mograder"
WRITTEN = "<!-- Written by tools/reference.py from the code: change the code and run it again. -->"

EXIT_CODES = {
    0: "all went well",
    1: "it failed, for a reason that the message gives",
    2: "wrong arguments: an unknown option, a missing or empty file, no server or token, no such assignment, "
    "a file that is no .py where nothing else is accepted",
    3: "the server does not know the token or the enrollment code, or you are not allowed to",
    4: "what was asked for is not there",
    5: "refused by a rule of the course: closed, name taken, too large, wrong type, too many attempts",
    6: "the server cannot be reached, or cannot answer now",
    7: "what arrived is not what was sent, a signature is wrong, or `doctor` or `verify` found something wrong",
    8: "`validate` found no check in a notebook",
    130: "interrupted with Ctrl-C",
}

GRADING_KEYS = {
    "hidden": "When students see titles and results of hidden tests; by default `never`.",
    "isolate": "`false` runs checks in the process of the submission, for courses that need it: results are then not "
    "protected.",
    "cell_seconds": "Seconds that a cell may take: 10 by default.",
    "total_seconds": "Seconds that a submission may take in all: 60 by default.",
    "memory_mb": "MiB of memory: 1024 by default.",
    "processes": "Processes and threads: 64 by default.",
    "file_mb": "MiB of a file that is written: 64 by default.",
    "output_kb": "KiB that are printed: 256 by default.",
    "results": "When students see what checks say; by default `at-once`.",
    "per_hour": "Submissions that a student has within an hour; without it, as many as `[server] max_per_hour` says.",
    "calls": "How often checks may call into a submission: 100000 by default.",
}
KEYS = {
    "title": "The course's title.",
    "timezone": "The zone of times that name none, such as `Europe/London`.",
    "counts": "Which of a person's submissions counts; `on-time` is the last on time, else the latest.",
    "transport": "Always `https`. For clients.",
    "edit_links": (
        "Editors in which a student can open a file: name = address. `{content_lz}` is the text of a Python file, "
        "LZ-String compressed for a URL; `{url}`, `{filename}` and `{assignment}` are percent-encoded."
    ),
    "assignments.name": "The assignment's folder.",
    "assignments.id": "Another way to name it.",
    "assignments.title": "Its title for people.",
    "assignments.opens": (
        "Before that, students see its title and this time alone. A date without a time means its beginning."
    ),
    "assignments.hidden": "`true`: before it opens, students are not told of it at all.",
    "assignments.due": "When it is due. A date without a time means its end. After it and the grace it is late.",
    "assignments.closes": "After this nothing is taken, except from an instructor or with an extension.",
    "assignments.duedate": "`due` in Unix seconds, as the published client writes it; 0 means none.",
    "assignments.max_size": "Largest submission, in bytes.",
    "assignments.accepts": 'File endings that are taken, such as `[".py", ".zip"]`; any when empty.',
    "assignments.points": "How many points it is worth.",
    "assignments.files": (
        'The files of a submission, such as `["part1.py", "part2.py"]`; any when empty. Tables of files to '
        "fetch, as the published client writes them, are ignored."
    ),
    "assignments.files.name": "The file's name.",
    "assignments.grading": "What `[grading]` says, for this assignment alone.",
    "assignments.counts": "Which submission counts in this assignment; as in the course when it is left out.",
    "assignments.penalties": "What `[penalties]` says, key by key, for this assignment alone.",
    "assignments.penalties.enabled": "Whether late work costs anything here.",
    "assignments.penalties.grace_minutes": "Minutes after the due time in which nothing is late here.",
    "assignments.penalties.per_day": "Percentage points for each day begun.",
    "assignments.penalties.max": "Percentage points at most.",
    "assignments.penalties.apply": "Whether the penalty is taken off marks when they are released.",
    "assignments.release_at_once": (
        "`true`: a mark that checks alone have given is released as soon as the submission is graded."
    ),
    "assignments.files.url": "Where it is: a path on the server or an absolute URL.",
    "https.url": "For clients: the server's address.",
    "https.token": "For clients: the token. Keep a file with this to yourself.",
    "dirs.source": "For grading: the notebooks with solutions.",
    "dirs.release": "`--release-dir`. The served folder itself is fine, too.",
    "dirs.submitted": "`--submitted-dir`; for `fetch-submissions`, where submissions go.",
    "dirs.autograded": "For grading: where records and pages of results go.",
    "dirs.feedback": "For `feedback` and `upload-feedback`: where the pages are.",
    "dirs.marks": "For `feedback`: the tables of marks and comments by hand.",
    "server.host": "`--host`.",
    "server.port": "`--port`.",
    "server.max_upload": "`--max-upload`, in MiB.",
    "server.tls_cert": "`--tls-cert`.",
    "server.tls_key": "`--tls-key`.",
    "server.tls_self_signed": "`--tls-self-signed`.",
    "server.tls_names": "`--tls-names`.",
    "server.trusted_proxies": "`--trusted-proxies`.",
    "server.root_path": "`--root-path`.",
    "server.workers": "`--workers`.",
    "server.grading_workers": "`--grading-workers`: how many submissions are graded at once as they come in.",
    "server.max_people": "With this many accounts the enrollment code adds no more; the roster still does.",
    "server.max_per_hour": "Submissions of one person that are taken within an hour: 240 by default.",
    "server.max_attempts": "Submissions of one person that an assignment takes in all: 2000 by default.",
    "server.max_person_mb": "MiB that the submissions of one person may have in all: 2048 by default.",
    "server.enrollment_code": "The code with which students register themselves: `--enrollment-code` of this course.",
    "server.store": "`--store`: a PostgreSQL database whose courses are served. Better in the environment.",
    "penalties.enabled": "Whether late work costs anything.",
    "penalties.apply": "Whether the penalty is taken off marks when they are released; else it is shown beside them.",
    "assignments.questions": "What people mark, beside the questions that the notebook's checks mark.",
    "assignments.questions.key": "What the question is called.",
    "assignments.questions.points": "Its points.",
    "marking.letters": "From how many per cent each letter is given, such as `{ A = 90, B = 80 }`; none by default.",
    "marking.regrade_days": "For how many days after its release a student may ask to look at a mark again; 0: never.",
    "penalties.grace_minutes": "Minutes after the due time in which nothing is late, enabled or not.",
    "penalties.per_day": "Percentage points for each day begun since the due time.",
    "penalties.max": "The most that late work costs, in percentage points.",
    **{f"{place}.{key}": text for place in ("grading", "assignments.grading") for key, text in GRADING_KEYS.items()},
}
"""What each key of mograder.toml means; `settings` fails unless these are all keys of its classes."""


@functools.cache
def pages() -> dict[str, str]:
    """The text of every generated file, by name."""
    return {
        "protocol.md": protocol(),
        "openapi.json": json.dumps(openapi(), indent=2, ensure_ascii=False) + "\n",
        "settings.md": settings(),
        "commands.md": commands(),
        "modules.md": modules(),
    }


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(plain(cell) for cell in row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(text: str) -> str:
    """One line of Markdown in which `<` begins no HTML and `|` no column."""
    parts = " ".join(text.replace("|", "\\|").split()).split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))


def document(*parts: str) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def first_sentence(text: str) -> str:
    """A module's first paragraph, as one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())


def doc(kind: type) -> str:
    """A class's own docstring as one paragraph; "" when it has none."""
    return " ".join((kind.__dict__.get("__doc__") or "").split())


# the protocol


def protocol() -> str:
    return document(
        "# The protocol",
        WRITTEN,
        "JSON over HTTP; the same as [OpenAPI 3.1](openapi.json). Names in paths are percent-encoded UTF-8. A trailing "
        "slash and unknown query parameters are tolerated. `HEAD` works wherever `GET` does. `OPTIONS` on any path "
        "answers 204 and needs no token. A request with a body needs a `Content-Length`.",
        "A token goes into the header `Authorization: Bearer <user>:<hex>`. Under `--no-auth` none is looked at.",
        "## Endpoints",
        table(("request", "who", "answer", ""), [
            (f"`{row.method} {row.path}`", row.allow.value, f"[{answer(row)}](#{row.name})", row.summary)
            for row in ENDPOINTS
        ]),
        *(endpoint(row) for row in ENDPOINTS),
        "## Objects",
        "A key marked *optional* is left out when there is nothing to say. More keys may be added; none is renamed.",
        *(described(kind) for kind in objects()),
        "## Errors",
        'Every error is an object `{"error": text, "code": code}`, sometimes with more keys. The text is for a '
        "person, the code for a program. What was foreseen has one of these codes; all else is 500 with `internal`.",
        table(("code", "status", "exit code of the client", ""), [
            (f"`{kind.code}`", str(kind.status), str(kind.exit_code), doc(kind))
            for kind in errors()
        ]),
        "`network` and `verification_failed` are raised by the client alone, `usage` by the command line. "
        "`Retry-After` (seconds) comes with 429, 503 and 507, `Allow` with 405, `WWW-Authenticate` with 401.",
        f"`{TROUBLE}` comes with answers to instructors, once for each file of the course that cannot be "
        "understood now: what is wrong and where, percent-encoded UTF-8.",
        "## Headers",
        f"`{CHECKSUM_HEADER}`: optional on a submission, the SHA-256 of the file as lower-case hex. "
        "Bytes that do not match are refused with `checksum_mismatch`.",
        "JSON listings and files carry an `ETag`; `If-None-Match` with it is answered 304. Large files take `Range`. "
        f"`{VERSION_HEADER}` is the version of the server's mograder.",
        "Every answer carries:",
        "```\n" + "\n".join(f"{name}: {value}" for name, value in HEADERS.items()) + "\n```",
    )  # fmt: skip


def answer(row: Endpoint) -> str:
    if isinstance(row.reply, Content):
        return row.reply.value
    return f"list of {row.reply.__name__}" if row.many else row.reply.__name__


def linked(kind: type | Content, many: bool = False) -> str:
    if isinstance(kind, Content):
        return f"`{kind.value}`" if kind not in (Content.UPLOAD, Content.PAGES) else kind.value.replace("'", "`")
    return ("a list of " if many else "") + f"[{kind.__name__}](#{kind.__name__.lower()}-object)"


def endpoint(row: Endpoint) -> str:
    facts = [f"- open to: {row.allow.value}"]
    if row.about_query:
        facts.append(f"- query: `{row.about_query}`, the person it is about")
    if row.request is Content.ANY_JSON:
        facts.append("- body: JSON")
    elif row.request is not Content.NOTHING:
        facts.append(f"- body: {linked(row.request)}")
    if row.request is not Content.NOTHING:
        facts.append(f"- largest body: {size(row.limit)}")
    facts.append(f"- answer: 200, {linked(row.reply, row.many)}")
    return document(f"### {row.name}", f"`{row.method} {row.path}`", plain(row.summary), "\n".join(facts))


def size(limit: int | None) -> str:
    if limit is None:
        return "`--max-upload`, or the assignment's `max_size`"
    return f"{limit // MIB} MiB" if limit >= MIB else f"{limit // KIB} KiB"


def objects() -> list[type]:
    """Every type with keys of the table, once, in its order, after what it holds."""
    found: list[type] = []

    def add(kind: object) -> None:
        for inner in get_args(kind):
            add(inner)
        if not isinstance(kind, type) or kind in found:
            return
        if issubclass(kind, msgspec.Struct):
            found.append(kind)
            for hint in get_type_hints(kind).values():
                add(hint)

    for row in ENDPOINTS:
        for kind in (row.request, row.reply):
            add(kind)
    add(messages.Problem)
    return found


def described(kind: type) -> str:
    rows = [
        (f"`{name}`", type_name(hint), "optional" if msgspec.UnsetType in get_args(hint) else "")
        for name, hint in get_type_hints(kind).items()
    ]
    return document(f"### {kind.__name__} object", doc(kind), table(("key", "type", ""), rows))


def type_name(hint: object) -> str:
    """A type as a reader of JSON or TOML says it."""
    # mograder.toml's times are Any, since no library checks that union: course_file.py does.
    names: dict[object, str] = {
        str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null",
        Any: "date, date and time, or Unix seconds",
    }  # fmt: skip
    parts = [part for part in get_args(hint) if part is not msgspec.UnsetType]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{each.value}`" for each in hint)
    if getattr(hint, "__origin__", None) is list:
        return f"list of {type_name(parts[0])}"
    if getattr(hint, "__origin__", None) is dict:
        return "table of numbers" if parts[1] is float else "table of texts"
    if parts:
        return " or ".join(type_name(part) for part in parts)
    name = getattr(hint, "__name__", str(hint))
    return names.get(hint) or ("table" if name.startswith("_") else name)


def errors(base: type[MograderError] = MograderError) -> list[type[MograderError]]:
    """The error family by status, then code."""

    def family(kind: type[MograderError]) -> Iterator[type[MograderError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from family(child)

    ours = {kind for kind in family(base) if kind.__module__ == MograderError.__module__}
    if silent := sorted(kind.__name__ for kind in ours if not doc(kind)):
        raise SystemExit(f"errors without a docstring, which the protocol's page shows: {', '.join(silent)}")
    return sorted(ours, key=lambda kind: (kind.status, kind.code))


# OpenAPI


def openapi() -> dict[str, Any]:
    """The table as OpenAPI 3.1."""
    kinds = objects()
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for kind in kinds:
        schemas[kind.__name__].pop("description", None)
        if doc(kind):
            schemas[kind.__name__]["description"] = doc(kind)
    paths: dict[str, Any] = {}
    for row in ENDPOINTS:
        paths.setdefault(row.path.replace(":path}", "}"), {})[row.method.lower()] = operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mograder",
            "version": mograder.__version__,
            "summary": "A course over HTTP: fetch, submit, collect, grade, return.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "username:hex(HMAC-SHA256)"}
            },
        },
    }


def operation(row: Endpoint) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": row.name, "summary": row.summary, "x-open-to": row.allow.value}
    if row.allow is Allow.ANYONE:
        described["security"] = []
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        | ({"description": "May hold slashes, which are not percent-encoded."} if rest else {})
        for name, rest in parameters_of(row)
    ]
    if row.about_query:
        parameters.append({"name": row.about_query, "in": "query", "required": True, "schema": {"type": "string"}})
    if row.request is Content.UPLOAD:
        hexadecimal = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
        parameters.append({"name": CHECKSUM_HEADER, "in": "header", "schema": hexadecimal})
    if parameters:
        described["parameters"] = parameters
    if row.request is not Content.NOTHING:
        described["requestBody"] = {"required": True, "content": request_content(row)}
    described["responses"] = {
        "200": {"description": "done", "content": reply_content(row)},
        "default": {
            "description": "an error",
            "content": {"application/json": {"schema": reference(messages.Problem)}},
        },
    }
    return described


def parameters_of(row: Endpoint) -> list[tuple[str, bool]]:
    segments = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
    return [(name.removesuffix(":path"), name.endswith(":path")) for name in segments]


def reference(kind: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": [field], "properties": {field: schema}}}


def request_content(row: Endpoint) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    if row.request is Content.UPLOAD:
        return {Content.FILE.value: {"schema": binary}, "multipart/form-data": form("file", binary)}
    if row.request is Content.PAGES:
        return {"multipart/form-data": form("files", {"type": "array", "items": binary})}
    if isinstance(row.request, Content):
        return {row.request.value: {"schema": {}}}
    return {"application/json": {"schema": reference(row.request)}}


def reply_content(row: Endpoint) -> dict[str, Any]:
    if isinstance(row.reply, Content):
        binary = {"format": "binary"} if row.reply is Content.FILE else {}
        return {row.reply.value: {"schema": {"type": "string", **binary}}}
    schema = reference(row.reply)
    return {"application/json": {"schema": {"type": "array", "items": schema} if row.many else schema}}


# settings


def settings() -> str:
    return document(
        "# Settings",
        WRITTEN,
        "A setting comes from its flag, else its environment variable, else `mograder.toml`, else its default.",
        "## mograder serve",
        table(("flag", "environment", "mograder.toml", "default", ""), [
            (
                f"`{setting.flag}`" + (f", `{setting.short}`" if setting.short else ""),
                f"`{setting.env}`" if setting.env else "",
                f"`[{setting.toml.partition('.')[0]}] {setting.toml.partition('.')[2]}`" if setting.toml else "",
                "" if setting.default in (None, False) else f"`{setting.default}`",
                setting.help,
            )
            for setting in config.SERVE_SETTINGS
        ]),
        "## mograder.toml",
        "It stands in the course's folder and is optional. Paths in it are relative to that folder. A table that is "
        "not listed here is ignored; an unknown key in a listed one is an error that names the nearest known key.",
        *toml_tables(),
    )  # fmt: skip


def toml_tables() -> list[str]:
    """One part a table of mograder.toml, with its keys. Raises SystemExit when KEYS and the code differ."""
    parts, seen = [], set()

    def describe(kind: type[msgspec.Struct], place: str, heading: str) -> None:
        hints, rows = get_type_hints(kind), []
        inner = []
        for field in msgspec.structs.fields(kind):
            hint, key = hints[field.name], f"{place}.{field.name}".lstrip(".")
            inside = [part for each in get_args(hint) for part in (each, *get_args(each))]  # of a list of a union, too
            candidates = (each for each in (hint, *inside) if isinstance(each, type))
            held = next((each for each in candidates if issubclass(each, msgspec.Struct)), None)
            if held is not None:
                many = held is not hint
                title = f"`[[{key}]]`, one each" if many else f"`[{key}]`"
                inner.append((held, key, title))
            if held is None or place:
                seen.add(key)
                default = field.default
                is_given = default is not None and default is not msgspec.NODEFAULT and default != ""
                value = f"`{json.dumps(default)}`" if is_given else ""
                said = type_name(hint).replace(" or null", "").replace("list of table", "list of tables")
                rows.append((f"`{field.name}`", said, value, KEYS.get(key, "")))
        parts.append(document(f"### {heading}", table(("key", "type", "default", ""), rows)))
        for held, key, title in inner:
            describe(held, key, title)

    describe(course_file.CourseFile, "", "At the top")
    if seen != set(KEYS):
        raise SystemExit(
            f"KEYS of {Path(__file__).name} and course_file.py differ: {', '.join(sorted(seen ^ set(KEYS)))}"
        )
    return parts


# commands


def commands() -> str:
    known = {kind.exit_code for kind in errors()} | {0, 130}
    if known != set(EXIT_CODES):
        raise SystemExit(f"EXIT_CODES and domain/errors.py differ: {sorted(known ^ set(EXIT_CODES))}")
    context = click.Context(command_line, info_name="mograder")
    return document(
        "# Commands",
        WRITTEN,
        "Results go to standard output, messages to standard error.",
        *(command(each, inner) for each, inner in walk(command_line, context)),
        "## Exit codes",
        table(("code", "meaning", "errors"), [
            (str(code), meaning, ", ".join(f"`{kind.code}`" for kind in errors() if kind.exit_code == code))
            for code, meaning in EXIT_CODES.items()
        ]),
        "What each error means: [the protocol](protocol.md#errors).",
        "## Completion in the shell",
        'For bash, add `eval "$(_MOGRADER_COMPLETE=bash_source mograder)"` to `~/.bashrc`; for zsh the same with '
        "`zsh_source` in `~/.zshrc`; for fish, `_MOGRADER_COMPLETE=fish_source mograder | source`.",
    )  # fmt: skip


def walk(group: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """The command and all below it, each with its context."""
    yield group, context
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None, f"{context.command_path} lists {name!r} and does not have it"
            if not found.hidden:
                yield from walk(found, click.Context(found, info_name=name, parent=context))


def command(each: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *each.collect_usage_pieces(context)])
    options = [option for option in each.get_params(context) if isinstance(option, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    shown = [(f"`{names}`", text) for names, text in records if names != "--help"]
    return document(
        f"## {context.command_path}",
        f"```\n{usage}\n```",
        prose(each.help or ""),
        table(("option", ""), shown) if shown else "",
    )


def prose(text: str) -> str:
    """A command's help as Markdown: what click keeps as it is (after \\b) becomes a block of code."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if paragraph.strip().startswith("\b"):
            title, _, lines = paragraph.strip().lstrip("\b\n").partition("\n")
            paragraphs += [title.strip(), "```\n" + "\n".join(line.strip() for line in lines.splitlines()) + "\n```"]
        else:
            paragraphs.append(plain(paragraph))
    return "\n\n".join(paragraphs)


# modules


def modules() -> str:
    return document(
        "# Modules",
        WRITTEN,
        "Every module and its job, in its own words. How they work together: [architecture](../architecture.md).",
        *(package(folder) for folder in sorted(found_packages())),
    )


def found_packages() -> set[Path]:
    """The program's packages; the notebooks of the example course are none."""
    return {path.parent for path in SOURCE.rglob("*.py") if not path.is_relative_to(SOURCE / "example")}


def package(folder: Path) -> str:
    jobs = {path.name: first_sentence(module_doc(path)) for path in sorted(folder.glob("*.py"))}
    name = folder.relative_to(SOURCE.parent).as_posix() + "/"
    rows = [(f"`{file}`", job) for file, job in jobs.items() if not file.startswith("__")]
    return document(f"## {name}", jobs.get("__init__.py", ""), table(("module", "its job"), rows) if rows else "")


def module_doc(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise SystemExit(f"{path.relative_to(SOURCE.parent)} does not say in its first line what its job is")
    return text


def stale() -> list[Path]:
    """The files that are not what the code says."""
    return [
        FOLDER / name
        for name, text in pages().items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 2
    if arguments == ["--check"]:
        for path in (found := stale()):
            print(f"stale: {path}: run python tools/reference.py")
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
