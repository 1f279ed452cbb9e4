"""The table of the protocol's endpoints, one row each.

Routes, authorisation, limits, request parsing, the client, OpenAPI and the reference docs all come from this table. It
is plain data: an endpoint that does not fit a row is an ordinary route with a comment, not one more column.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from mograder.domain.access import Allow
from mograder.domain.allowance import MIB
from mograder.wire.messages import (
    Announcement,
    AssignmentInfo,
    ChainHead,
    Committed,
    EventInfo,
    ExtensionChanges,
    ExtensionInfo,
    ExtensionRequest,
    FeedbackStored,
    GradebookInfo,
    GradeInfo,
    GradesStored,
    GradingInfo,
    Health,
    KeySet,
    LoginLink,
    NewCodes,
    NewName,
    NewPeople,
    NewRole,
    NewRules,
    QueueInfo,
    ReceiptInfo,
    Register,
    Registered,
    RosterEntry,
    RulesInfo,
    Status,
    SubmissionInfo,
    Submitted,
)

KIB = 1024

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Content-SHA256, X-Filename, If-None-Match",
    "Access-Control-Expose-Headers": "ETag, Retry-After",
}
"""Header fields of every response. CORS is open for tokens, but never allows credentials (cookies)."""

TROUBLE = "Mograder-Trouble"
"""A header field of replies to instructors, one for each file of the course that cannot be parsed: what is wrong and
where, percent-encoded."""

VERSION_HEADER = "Mograder-Version"
"""The server's version, in every response of the protocol, so that clients can tell that there is a newer one."""

CHECKSUM_HEADER = "X-Content-SHA256"
"""Optional on a submission: the SHA-256 of the file, lower-case hex. Bytes that do not match are refused."""


FILENAME_HEADER = "X-Filename"
"""Optional on a submission with a raw body: the sender's name of the file, in UTF-8, percent-encoded."""


class Content(StrEnum):
    """The content of a body of a request or reply that is not a JSON type."""

    NOTHING = "nothing"
    FILE = "application/octet-stream"
    UPLOAD = "a file, raw or as the first file of multipart/form-data"
    PAGES = "multipart/form-data, field 'files'"
    HTML = "text/html; charset=utf-8"
    TOML = "application/toml; charset=utf-8"
    PEM = "application/x-pem-file"
    ANY_JSON = "application/json"


class Endpoint(Struct, frozen=True):
    """One row. `{name}` in `path` stands for one segment, `{name:path}` for all the rest.

    `request` and `reply` are a type of `messages` (JSON) or a `Content`. `limit` is the size of the largest request
    body in bytes; None means the course's limit for submissions. `about_query` names the query parameter, or
    `about_path` the path parameter, that says which person a request is about.
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
        "Every assignment with its released files, sorted by name.", many=True,
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
        "Change title, times or limits of an assignment, in the course's mograder.toml. 409 if it was changed since.",
        request=NewRules, limit=8 * KIB,
    ),
    Endpoint(
        "submit", "POST", "/assignments/{assignment}/submit", Allow.SELF, Submitted, "Submit a file.",
        request=Content.UPLOAD, limit=None, about_query="user",
    ),
    Endpoint(
        "commit", "POST", "/assignments/{assignment}/commit", Allow.SELF, Committed,
        "Announce a file by its checksum: if it is submitted within the hour, the moment of this request counts.",
        request=Announcement, limit=KIB, about_query="user",
    ),
    Endpoint(
        "submissions", "GET", "/assignments/{assignment}/submissions", Allow.INSTRUCTOR, SubmissionInfo,
        "One submission of every person: `?which=latest` (default), `on-time` (the last one on time), or `counts`.",
        many=True,
    ),
    Endpoint(
        "submitted_file", "GET", "/assignments/{assignment}/submissions/{file:path}", Allow.INSTRUCTOR,
        Content.FILE, "One submission, the latest (alice.py, or with its ending: alice.pdf) or a dated version.",
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
        "The last receipt of the course. A copy of it shows later whether the chain was cut short or rewritten.",
    ),
    Endpoint(
        "signing_keys", "GET", "/.well-known/jwks.json", Allow.ANYONE, KeySet,
        "The public keys that verify the course's receipts.",
    ),
    Endpoint(
        "grades", "GET", "/assignments/{assignment}/grades", Allow.INSTRUCTOR, GradeInfo,
        "Everybody's stored grades, including those that students do not see yet.", many=True,
    ),
    Endpoint(
        "gradebook", "GET", "/assignments/{assignment}/gradebook", Allow.INSTRUCTOR, GradebookInfo,
        "Everybody's results with names, ids, penalties and points by question, as exports need them.",
    ),
    Endpoint(
        "upload_grades", "POST", "/assignments/{assignment}/grades", Allow.INSTRUCTOR, GradesStored,
        "Merge grades by person.", request=Content.ANY_JSON, limit=16 * MIB,
    ),
    Endpoint(
        "status", "GET", "/assignments/{assignment}/status", Allow.SELF, Status,
        "Whether a person has submitted, and the grade.", about_query="user",
    ),
    Endpoint(
        "result", "GET", "/assignments/{assignment}/result", Allow.SELF, GradingInfo,
        "The grading of a person's newest submission: its place in the queue, then the result.",
        about_query="user",
    ),
    Endpoint(
        "grading_queue", "GET", "/grading", Allow.INSTRUCTOR, QueueInfo,
        "The state of grading: how many submissions wait and since when, failures, and the time of the last result.",
    ),
    Endpoint(
        "upload_feedback", "POST", "/assignments/{assignment}/feedback", Allow.INSTRUCTOR, FeedbackStored,
        "Store feedback pages, one <user>.html for each person.", request=Content.PAGES, limit=64 * MIB,
    ),
    Endpoint(
        "feedback", "GET", "/assignments/{assignment}/feedback/{user}", Allow.SELF, Content.HTML,
        "One person's feedback page.", about_path="user",
    ),
    Endpoint(
        "ask_extension", "POST", "/assignments/{assignment}/extension", Allow.SELF, ExtensionInfo,
        "Request an extension. This replaces an earlier request of the person.",
        request=ExtensionRequest, limit=8 * KIB, about_query="user",
    ),
    Endpoint(
        "extensions", "GET", "/extensions", Allow.INSTRUCTOR, ExtensionInfo,
        "Every extension, requested or granted, sorted by assignment and user name.", many=True,
    ),
    Endpoint(
        "change_extensions", "POST", "/extensions", Allow.INSTRUCTOR, ExtensionInfo,
        "Grant, decline or withdraw extensions; all changes are made, or none.",
        request=ExtensionChanges, limit=4 * MIB, many=True,
    ),
    Endpoint(
        "roster", "GET", "/roster", Allow.INSTRUCTOR, RosterEntry, "All people of the course, sorted by user name.",
        many=True,
    ),
    Endpoint(
        "add_people", "POST", "/roster", Allow.INSTRUCTOR, RosterEntry,
        "Put people on the roster, each with a personal code. People who are on it stay as they are, unless `update`.",
        request=NewPeople, limit=4 * MIB, many=True,
    ),
    Endpoint(
        "reset", "POST", "/roster/{user}/reset", Allow.INSTRUCTOR, RosterEntry,
        "Revoke a person's token and make a new personal code. A person who was removed is on the roster again.",
        about_path="user",
    ),
    Endpoint(
        "set_role", "POST", "/roster/{user}/role", Allow.INSTRUCTOR, RosterEntry,
        "Make a person a student, a grader or an instructor.", request=NewRole, limit=KIB, about_path="user",
    ),
    Endpoint(
        "rename", "POST", "/roster/{user}/name", Allow.INSTRUCTOR, RosterEntry,
        "Change a person's display name; the user name stays.", request=NewName, limit=4 * KIB, about_path="user",
    ),
    Endpoint(
        "reset_everybody", "POST", "/roster/reset", Allow.INSTRUCTOR, RosterEntry,
        "Revoke the tokens of everybody but the sender, and make new personal codes.",
        request=NewCodes, limit=KIB, many=True,
    ),
    Endpoint(
        "remove", "POST", "/roster/{user}/remove", Allow.INSTRUCTOR, RosterEntry,
        "Remove a person: the token is revoked, the name stays taken, and submissions stay.", about_path="user",
    ),
    Endpoint(
        "events", "GET", "/events", Allow.INSTRUCTOR, EventInfo,
        "The audit log, newest first: 1,000 events a page, with `?page=` from 1 on, until one is empty.",
        many=True,
    ),
    Endpoint(
        "login_link", "POST", "/login-link", Allow.MEMBER, LoginLink,
        "A link that logs its holder in to the pages in a browser; it works once, within five minutes.",
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
