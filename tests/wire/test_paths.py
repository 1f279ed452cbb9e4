"""A path leads to the row for which it was built, and no path is an internal error."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from mograder.domain.errors import BadName, BadRequest
from mograder.domain.names import AssignmentName, FileName
from mograder.wire.endpoints import ENDPOINTS, Endpoint
from mograder.wire.paths import Routes, build_path

ROUTES = Routes()


def parsed(parse: type[AssignmentName] | type[FileName]) -> st.SearchStrategy[str]:
    def is_name(text: str) -> bool:
        try:
            parse.parse(text)
        except BadName:
            return False
        return True

    return st.text(min_size=1, max_size=20).filter(is_name)


ASSIGNMENTS = parsed(AssignmentName)
FILES = st.lists(parsed(FileName), min_size=1, max_size=3).map("/".join)
USERS = st.from_regex(r"[a-z][a-z0-9@+_-]{0,20}", fullmatch=True)


@settings(max_examples=8 * len(ENDPOINTS))
@given(row=st.sampled_from(ENDPOINTS), assignment=ASSIGNMENTS, file=FILES, user=USERS)
def test_a_path_built_for_an_endpoint_is_found_with_the_same_values(
    row: Endpoint, assignment: str, file: str, user: str
) -> None:
    values = {"assignment": assignment, "file": file, "user": user}
    path = build_path(row, values)
    assert path.isascii()
    found = ROUTES.find(path.encode())
    assert found is not None
    assert found[row.method][0] is row
    assert found[row.method][1] == {key: values[key] for key in values if f"{{{key}" in row.path}


SEGMENTS = st.lists(st.sampled_from([b"assignments", b"*", b"**", b"", b"x", b"%2F", b"..", b"files"]))


@given(path=st.binary() | SEGMENTS.map(lambda parts: b"/" + b"/".join(parts)))
def test_any_path_is_found_or_unknown_or_a_bad_request(path: bytes) -> None:
    try:
        found = ROUTES.find(path)
    except BadRequest:
        return
    assert found is None or all(isinstance(values, Mapping) for _, values in found.values())


def test_long_paths_do_not_fill_the_memory() -> None:
    routes = Routes()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            assert routes.find(b"/assignments/%d%s/files/x" % (number, b"a" * 60_000)) is not None
            routes.find(b"/%d%s" % (number, b"b" * 60_000))
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()
