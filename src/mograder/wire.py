"""The protocol, declared once: one row an endpoint, one type a request or reply.

Routes, authorisation, limits, request parsing, the client, OpenAPI and the reference docs all come from this table.
It is plain data: what does not fit a row is an ordinary route with a comment, not one more column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urldefrag, urlencode

import msgspec
from msgspec import UNSET, UnsetType

from mograder.domain.access import Account, Allow, Role
from mograder.domain.deadlines import SECOND
from mograder.domain.errors import BadRequest
from mograder.domain.extensions import Decision, Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.rule_editor import RulesAsText
from mograder.domain.rules import RuleTexts

KIB, MIB = 1024, 1024 * 1024

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Content-SHA256, If-None-Match",
    "Access-Control-Expose-Headers": "ETag, Retry-After",
}
"""Header fields of every response. CORS is open for tokens; credentials (cookies) are never allowed with it."""

TROUBLE = "Mograder-Trouble"
"""One such field an answer to an instructor for each file of the course that cannot be understood: what and where it
is, percent-encoded."""

CHECKSUM_HEADER = "X-Content-SHA256"
"""Optional on a submission: the SHA-256 of the file, lower-case hex. Bytes that do not match are refused."""


class Content(StrEnum):
    """What a request's or a reply's body is, beside a JSON type."""

    NOTHING = "nothing"
    FILE = "application/octet-stream"
    UPLOAD = "a file, raw or as the first file of multipart/form-data"
    PAGES = "multipart/form-data, field 'files'"
    HTML = "text/html; charset=utf-8"
    TOML = "application/toml; charset=utf-8"
    PEM = "application/x-pem-file"
    ANY_JSON = "application/json"


@dataclass(frozen=True)
class JoinLink:
    """What an instructor shows to the class: the course's address, its enrollment code, and the certificate to expect.

    Code and fingerprint stand in the fragment, which no browser and no client of ours sends: they are in no log.
    `fingerprint` is the lower-case hex SHA-256 of the authority that vouches for the server, "" for a public one.
    """

    url: str
    code: str = ""
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> JoinLink:
        """Any address of a course; one without a fragment has neither code nor fingerprint."""
        address, fragment = urldefrag(text.strip())
        said = dict(parse_qsl(fragment))
        return cls(address.rstrip("/").removesuffix("/join"), said.get("code", ""), said.get("fingerprint", "").lower())

    @property
    def text(self) -> str:
        said = {name: value for name, value in (("code", self.code), ("fingerprint", self.fingerprint)) if value}
        return f"{self.url}/join" + (f"#{urlencode(said, quote_via=quote)}" if said else "")


T = TypeVar("T")
Maybe: TypeAlias = T | UnsetType
"""A key that is left out of the JSON when there is nothing to say: clients in the field trip over a null."""


def given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


# requests


@dataclass(frozen=True)
class Register:
    """Claim a user name with the shared enrollment code or a personal one-time code.

    `claim_key` is a random text of the sender's own, 32 to 200 characters. Whose answer was lost on the way sends the
    same again, within an hour, and is answered the same.
    """

    user: str
    enrollment_code: str | None = None
    claim_key: str | None = None


@dataclass(frozen=True)
class NewPerson:
    """`name` is what people call them."""

    user: str
    name: str = ""
    role: Role = Role.STUDENT


@dataclass(frozen=True)
class NewPeople:
    """All are added, or none."""

    people: list[NewPerson]


@dataclass(frozen=True)
class NewRole:
    role: Role


@dataclass(frozen=True)
class Announcement:
    """The file that is about to be handed in: its SHA-256 in lower-case hex, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class ExtensionRequest:
    """`until` is a date (2030-02-08), a date and time, or a step beyond the due time: +3d, +12h, +90m, +1w."""

    until: str
    reason: str = ""


@dataclass(frozen=True)
class ExtensionChange:
    """One decision. `until` is as in a request; "" grants what was asked for. `note` is told to the person."""

    user: str
    assignment: str
    decision: Decision
    until: str = ""
    note: str = ""


@dataclass(frozen=True)
class ExtensionChanges:
    """All are made, or none."""

    changes: list[ExtensionChange]


@dataclass(frozen=True)
class NewRules:
    """What is to change of an assignment's rules, as `RulesInfo` has them. What is left out stays; "" takes it out.

    `tag` is that of the rules that were seen.
    """

    tag: str
    title: Maybe[str] = UNSET
    opens: Maybe[str] = UNSET
    due: Maybe[str] = UNSET
    closes: Maybe[str] = UNSET
    max_size: Maybe[str] = UNSET
    accepts: Maybe[str] = UNSET
    points: Maybe[str] = UNSET


# replies


@dataclass(frozen=True)
class Health:
    status: str = "ok"


@dataclass(frozen=True)
class Registered:
    token: str
    user: str


@dataclass(frozen=True)
class ReleaseFileInfo:
    """`url` is a path on this server or an absolute URL. `size` is in bytes, `sha256` lower-case hex."""

    filename: str
    url: str
    size: Maybe[int] = UNSET
    sha256: Maybe[str] = UNSET


@dataclass(frozen=True)
class AssignmentInfo:
    """Times are Unix seconds, and for a student the student's own. `max_size` is in bytes; `accepts` are file endings,
    absent for any. `grace` is in seconds after `duedate`. `late`, `days_late`, `penalty` (percentage points) are what a
    submission would be that arrived now.
    """

    name: str
    id: str
    files: list[ReleaseFileInfo] = field(default_factory=list)
    title: Maybe[str] = UNSET
    opens: Maybe[int] = UNSET
    duedate: Maybe[int] = UNSET
    closes: Maybe[int] = UNSET
    max_size: Maybe[int] = UNSET
    accepts: Maybe[list[str]] = UNSET
    points: Maybe[float] = UNSET
    grace: Maybe[int] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET


@dataclass(frozen=True)
class RulesInfo:
    """An assignment's rules as people write them; "" where nothing is said.

    Times are dates and times of `timezone`, the course's; a date alone or an offset is understood, too. `max_size` is
    in bytes or such as "10 MiB"; `accepts` are file endings with spaces between. `tag` changes with all of it.
    """

    assignment: str
    title: str
    opens: str
    due: str
    closes: str
    max_size: str
    accepts: str
    points: str
    timezone: str
    tag: str


def rules_info(planned: RulesAsText) -> RulesInfo:
    return RulesInfo(planned.assignment, **asdict(planned.texts), timezone=planned.zone, tag=planned.tag)


def new_texts(before: RuleTexts, wanted: NewRules) -> RuleTexts:
    """The rules as they were, with what is wanted."""
    said = {each.name: getattr(wanted, each.name) for each in fields(RuleTexts)}
    return replace(before, **{key: text for key, text in said.items() if text is not UNSET})


@dataclass(frozen=True)
class Committed:
    """When the file comes before `until`, the moment `committed` counts. Both are Unix seconds."""

    user: str
    assignment: str
    sha256: str
    size: int
    committed: float
    until: float
    late: bool
    status: str = "ok"


@dataclass(frozen=True)
class Submitted:
    """`filename` is the latest file's name, `version` the kept one's; `received` is Unix seconds.

    `receipt` is a compact JWS that states all of it. `repeated` says that these bytes were already the latest.
    `received` is the moment that counts; where it is that of a commit, `arrived` is when the file came. `penalty` is in
    percentage points and `explanation` says how it comes about. `counts` is the version that counts now, by the
    course's `rule`, "latest" or "on-time". `by` is who sent it.
    """

    filename: str
    version: str
    user: str
    assignment: str
    attempt: int
    size: int
    sha256: str
    received: float
    receipt: str
    repeated: bool = False
    status: str = "ok"
    by: Maybe[str] = UNSET
    duedate: Maybe[int] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET
    arrived: Maybe[float] = UNSET
    counts: Maybe[str] = UNSET
    rule: Maybe[str] = UNSET


@dataclass(frozen=True)
class SubmissionInfo:
    """One person's latest submission, or the one that `which` asks for. Times are Unix seconds.

    A file that was put there by hand says nothing of `received` and what follows. `counts` is the version that counts.
    """

    username: str
    filename: str
    url: str
    timemodified: float
    size: int
    sha256: str
    counts: Maybe[str] = UNSET
    version: Maybe[str] = UNSET
    received: Maybe[float] = UNSET
    by: Maybe[str] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET


@dataclass(frozen=True)
class ReceiptInfo:
    """One accepted submission. `receipt` is the compact JWS that states it, `number` its place in the course's chain.

    `hash` is the SHA-256 of `receipt`, which the next receipt of the chain holds. `received` and `duedate` are Unix
    seconds; `late` is what held then. `url` brings the version's bytes.
    """

    number: int
    hash: str
    user: str
    assignment: str
    attempt: int
    version: str
    size: int
    sha256: str
    received: float
    by: str
    url: str
    receipt: str
    late: Maybe[bool] = UNSET
    duedate: Maybe[int] = UNSET


@dataclass(frozen=True)
class ChainHead:
    """The last receipt of the course: its number and hash; 0 and "" while there is none."""

    number: int
    hash: str


@dataclass(frozen=True)
class KeySet:
    """A JWK Set (RFC 7517): the public keys of the course's receipts, the one that signs now first."""

    keys: list[dict[str, str]]


@dataclass(frozen=True)
class GradeInfo:
    """One entry of an assignment's grades. `visible` says whether the student sees it.

    `fields` is the entry as it is stored, with every key that an upload has ever brought.
    """

    username: str
    grade: str | None
    feedback: str
    visible: bool
    fields: dict[str, Any]


def grade_info(entry: GradeEntry) -> GradeInfo:
    return GradeInfo(entry.username, entry.grade, entry.feedback, entry.visible, dict(entry.fields))


@dataclass(frozen=True)
class GradesStored:
    """`count` is how many grades the assignment has in all, `received` how many came in this request.

    `unknown` are the names in this request of people who have neither registered nor handed in.
    """

    count: int
    received: int
    unknown: list[str] = field(default_factory=list)
    status: str = "ok"


@dataclass(frozen=True)
class ExtensionInfo:
    """More time for one person. `state` is "asked", "granted", "declined" or "withdrawn"; times are Unix seconds.

    `until` is the due time granted, `note` what was said to it; `wanted` is the one asked for, `reason` why.
    """

    user: str
    assignment: str
    state: str
    note: str
    reason: str
    until: Maybe[float] = UNSET
    wanted: Maybe[float] = UNSET


def extension_info(extension: Extension) -> ExtensionInfo:
    until, wanted = (
        given(moment / SECOND if moment is not None else None) for moment in (extension.until, extension.wanted)
    )
    return ExtensionInfo(
        extension.username, extension.assignment, extension.state.value, extension.note, extension.reason, until, wanted
    )


@dataclass(frozen=True)
class Status:
    """`status` is "new" or "submitted". `duedate` and `closes` are the person's own, extension included.

    `attempts` were kept; `counts` is the version that counts by the course's `rule`, and `received`, `late`,
    `days_late`, `penalty` (percentage points), `explanation` and `by` belong to it. Times are Unix seconds.
    """

    status: str
    graded: bool
    grade: str | None
    feedback: str
    feedback_available: bool
    duedate: Maybe[int] = UNSET
    closes: Maybe[int] = UNSET
    attempts: Maybe[int] = UNSET
    rule: Maybe[str] = UNSET
    counts: Maybe[str] = UNSET
    received: Maybe[float] = UNSET
    by: Maybe[str] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET
    extension: Maybe[ExtensionInfo] = UNSET


@dataclass(frozen=True)
class FeedbackStored:
    files: list[str]
    status: str = "ok"


@dataclass(frozen=True)
class RosterEntry:
    """One person. `state` is "unclaimed", "claimed" or "removed".

    `code` is the personal code with which the person registers; it is said once, when it is made.
    """

    user: str
    name: str
    role: Role
    state: str
    code: Maybe[str] = UNSET


def roster_entry(account: Account, code: str = "") -> RosterEntry:
    state = "removed" if account.removed else "claimed" if account.bound else "unclaimed"
    return RosterEntry(account.username, account.name, account.role, state, given(code or None))


@dataclass(frozen=True)
class EventInfo:
    """One line of the audit log: who did what to whom or what. `moment` is Unix seconds."""

    moment: float
    actor: str
    action: str
    subject: str
    detail: str


@dataclass(frozen=True)
class LoginLink:
    """`url` logs its holder in to the pages, once, until `expires` (Unix seconds)."""

    url: str
    expires: float


@dataclass(frozen=True)
class Problem:
    """Every error: what went wrong for a person, and a code for a program."""

    error: str
    code: str


# the table


@dataclass(frozen=True)
class Endpoint:
    """One row. `{name}` in `path` is one segment, `{name:path}` all that are left.

    `request` and `reply` are a dataclass (JSON) or a `Content`. `limit` bounds the request's body in bytes;
    None means the course's own limit for submissions. `about_query` names the query parameter, `about_path` the path
    parameter, that says whose affair a request is.
    """

    name: str
    method: str
    path: str
    allow: Allow
    reply: type | Content
    summary: str
    request: type | Content = Content.NOTHING
    limit: int | None = 0
    about_query: str | None = None
    about_path: str | None = None
    many: bool = False  # the reply is a JSON list of `reply`


ENDPOINTS = (
    Endpoint("health", "GET", "/", Allow.ANYONE, Health, "Whether the server is up. A browser gets the page."),
    Endpoint(
        "register", "POST", "/register", Allow.ANYONE, Registered, "Claim a user name and get its token.",
        request=Register, limit=8 * KIB,
    ),
    Endpoint(
        "assignments", "GET", "/assignments", Allow.MEMBER, AssignmentInfo,
        "Every assignment with the files to fetch, sorted by name.", many=True,
    ),
    Endpoint(
        "release_file", "GET", "/assignments/{assignment}/files/{file:path}", Allow.MEMBER, Content.FILE,
        "One file of an assignment.",
    ),
    Endpoint(
        "rules", "GET", "/assignments/{assignment}/rules", Allow.INSTRUCTOR, RulesInfo,
        "Title, times and limits of an assignment, as they can be changed.",
    ),
    Endpoint(
        "change_rules", "POST", "/assignments/{assignment}/rules", Allow.INSTRUCTOR, RulesInfo,
        "Change title, times or limits of an assignment, in the course's mograder.toml. 409 when it was changed since.",
        request=NewRules, limit=8 * KIB,
    ),
    Endpoint(
        "submit", "POST", "/assignments/{assignment}/submit", Allow.SELF, Submitted, "Hand in a file.",
        request=Content.UPLOAD, limit=None, about_query="user",
    ),
    Endpoint(
        "commit", "POST", "/assignments/{assignment}/commit", Allow.SELF, Committed,
        "Announce a file by its checksum: when it is handed in within the hour, the moment of this counts.",
        request=Announcement, limit=KIB, about_query="user",
    ),
    Endpoint(
        "submissions", "GET", "/assignments/{assignment}/submissions", Allow.INSTRUCTOR, SubmissionInfo,
        "One submission of every person: with `?which=` the `latest` (default), the last `on-time`, or what `counts`.",
        many=True,
    ),
    Endpoint(
        "submitted_file", "GET", "/assignments/{assignment}/submissions/{file:path}", Allow.INSTRUCTOR,
        Content.FILE, "One submission, the latest (alice.py) or a dated version.",
    ),
    Endpoint(
        "receipts", "GET", "/assignments/{assignment}/receipts", Allow.SELF, ReceiptInfo,
        "A person's receipts for an assignment, in the order of acceptance.", about_query="user", many=True,
    ),
    Endpoint(
        "all_receipts", "GET", "/receipts/{user}", Allow.SELF, ReceiptInfo,
        "A person's receipts for every assignment, in the order of acceptance.", about_path="user", many=True,
    ),
    Endpoint(
        "version", "GET", "/assignments/{assignment}/receipts/{user}/{file:path}", Allow.SELF, Content.FILE,
        "One of a person's own submissions, a dated version or the latest.", about_path="user",
    ),
    Endpoint(
        "chain_head", "GET", "/chain", Allow.MEMBER, ChainHead,
        "The last receipt of the course: whoever keeps it can tell later whether the chain was cut or rewritten.",
    ),
    Endpoint(
        "signing_keys", "GET", "/.well-known/jwks.json", Allow.ANYONE, KeySet,
        "The public keys that verify the course's receipts.",
    ),
    Endpoint(
        "grades", "GET", "/assignments/{assignment}/grades", Allow.INSTRUCTOR, GradeInfo,
        "Everybody's grades as they are stored, those that students do not see yet included.", many=True,
    ),
    Endpoint(
        "upload_grades", "POST", "/assignments/{assignment}/grades", Allow.INSTRUCTOR, GradesStored,
        "Merge grades by person.", request=Content.ANY_JSON, limit=16 * MIB,
    ),
    Endpoint(
        "status", "GET", "/assignments/{assignment}/status", Allow.SELF, Status,
        "Whether somebody has handed in, and the grade.", about_query="user",
    ),
    Endpoint(
        "upload_feedback", "POST", "/assignments/{assignment}/feedback", Allow.INSTRUCTOR, FeedbackStored,
        "Store feedback pages, one <user>.html a person.", request=Content.PAGES, limit=64 * MIB,
    ),
    Endpoint(
        "feedback", "GET", "/assignments/{assignment}/feedback/{user}", Allow.SELF, Content.HTML,
        "One person's feedback page.", about_path="user",
    ),
    Endpoint(
        "ask_extension", "POST", "/assignments/{assignment}/extension", Allow.SELF, ExtensionInfo,
        "Ask for more time. It replaces what the person has asked for before.",
        request=ExtensionRequest, limit=8 * KIB, about_query="user",
    ),
    Endpoint(
        "extensions", "GET", "/extensions", Allow.INSTRUCTOR, ExtensionInfo,
        "Every extension that was asked for or granted, sorted by assignment and user name.", many=True,
    ),
    Endpoint(
        "change_extensions", "POST", "/extensions", Allow.INSTRUCTOR, ExtensionInfo,
        "Grant, decline or withdraw extensions: all of them or none.",
        request=ExtensionChanges, limit=4 * MIB, many=True,
    ),
    Endpoint(
        "roster", "GET", "/roster", Allow.INSTRUCTOR, RosterEntry, "Everybody of the course, sorted by user name.",
        many=True,
    ),
    Endpoint(
        "add_people", "POST", "/roster", Allow.INSTRUCTOR, RosterEntry,
        "Put people on the roster, each with a personal code. Who is there already stays and gets none.",
        request=NewPeople, limit=4 * MIB, many=True,
    ),
    Endpoint(
        "reset", "POST", "/roster/{user}/reset", Allow.INSTRUCTOR, RosterEntry,
        "Revoke a person's token and make a new personal code. Brings back who was removed.", about_path="user",
    ),
    Endpoint(
        "set_role", "POST", "/roster/{user}/role", Allow.INSTRUCTOR, RosterEntry,
        "Make a person an instructor, or a student again.", request=NewRole, limit=KIB, about_path="user",
    ),
    Endpoint(
        "remove", "POST", "/roster/{user}/remove", Allow.INSTRUCTOR, RosterEntry,
        "Revoke a person's token for good. The name stays reserved, submissions stay.", about_path="user",
    ),
    Endpoint(
        "events", "GET", "/events", Allow.INSTRUCTOR, EventInfo, "The last 1000 lines of the trail of who did what.",
        many=True,
    ),
    Endpoint(
        "login_link", "POST", "/login-link", Allow.MEMBER, LoginLink,
        "A link that logs its holder in to the pages in a browser, once, within five minutes.",
    ),
    Endpoint(
        "configuration", "GET", "/mograder.toml", Allow.ANYONE, Content.TOML,
        "A configuration for a student's client: address, title and assignments.",
    ),
    Endpoint(
        "authority", "GET", "/authority.pem", Allow.ANYONE, Content.PEM,
        "The certificate of the server's own authority, under --tls-self-signed. Compare its SHA-256 before you "
        "trust it.",
    ),
)  # fmt: skip

BY_NAME: Mapping[str, Endpoint] = {row.name: row for row in ENDPOINTS}

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


def build_path(row: Endpoint, values: Mapping[str, str]) -> str:
    """The row's path with its parameters filled in, percent-encoded (`/` is kept in a `:path` parameter)."""

    def fill(match: re.Match[str]) -> str:
        return quote(values[match[1]], safe="/" if match[2] else "")

    return _PARAMETER.sub(fill, row.path)


Node = dict[str, Any]


class Routes:
    """Finds the rows of a path: a tree keyed by segment, walked once a request."""

    def __init__(self) -> None:
        self._root: Node = {}
        for row in ENDPOINTS:
            node = self._root
            for segment in _segments(row.path.encode()):
                parameter = _PARAMETER.fullmatch(segment.decode())
                key = ("**" if parameter[2] else "*") if parameter else segment.decode()
                node = node.setdefault(key, {})
            node.setdefault("", {})[row.method] = (row, [match[1] for match in _PARAMETER.finditer(row.path)])

        # Most requests are for few paths. What is found is the same for a path for ever, and nobody changes it.
        self.find = lru_cache(4096)(self._find)

    def _find(self, raw_path: bytes) -> Mapping[str, tuple[Endpoint, dict[str, str]]] | None:
        """The rows at a still percent-encoded path, by method, with parameters decoded once; None if unknown.

        Raises BadRequest when a parameter is not UTF-8.
        """
        node, values = self._root, []
        segments = _segments(raw_path)
        for index, segment in enumerate(segments):
            literal = unquote_to_bytes(segment).decode("latin-1")
            child = node.get(literal) if literal not in ("*", "**", "") else None
            if child is not None:
                node = child
            elif "*" in node:
                node = node["*"]
                values.append(segment)
            elif "**" in node:
                node = node["**"]
                values.append(b"/".join(segments[index:]))
                break
            else:
                return None
        rows = node.get("")
        if rows is None:
            return None
        decoded = [_decode(value) for value in values]
        return {method: (row, dict(zip(names, decoded, strict=True))) for method, (row, names) in rows.items()}


def _segments(path: bytes) -> list[bytes]:
    # Trailing slashes are tolerated; empty segments elsewhere are not names of anything and match nothing.
    stripped = path.rstrip(b"/")
    return stripped.split(b"/")[1:] if stripped else []


def _decode(value: bytes) -> str:
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise BadRequest("the path is not valid UTF-8") from None


def decode_json(body: bytes, kind: Any = Any) -> Any:
    """`body` as a value of `kind` (a dataclass above; anything at all by default).

    Raises BadRequest that says what is wrong, for JSON nested too deeply as well.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"bad JSON: {error}") from None
    except RecursionError:
        raise BadRequest("bad JSON: nested too deeply") from None


def _plain(value: object) -> str:
    """Names are subclasses of str, which msgspec leaves to us."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


encode_json = msgspec.json.Encoder(enc_hook=_plain).encode
"""A value as JSON bytes."""


def _whole(base_url: str, url: str) -> str:
    return base_url.rstrip("/") + url if url.startswith("/") else url


def client_configuration(title: str, base_url: str, listed: list[object]) -> str:
    """A mograder.toml for a student's client, of assignments as the `assignments` endpoint lists them.

    Addresses are whole: the published dashboard uses them as they stand.
    """
    import tomlkit

    assignments = []
    for entry in msgspec.to_builtins(listed, enc_hook=_plain):
        wanted = {key: entry[key] for key in ("name", "id", "duedate") if entry.get(key) is not None}
        listed_files = [file for file in entry.get("files") or [] if file.get("url")]
        files = [{"name": file["filename"], "url": _whole(base_url, file["url"])} for file in listed_files]
        assignments.append({**wanted, "files": files})
    document: dict[str, Any] = {"title": title or "Course", "transport": "https", "https": {"url": base_url}}
    return tomlkit.dumps({**document, "assignments": assignments})
