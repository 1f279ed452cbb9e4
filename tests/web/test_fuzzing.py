"""Valid and invalid requests generated from docs/reference/openapi.json: every answer conforms to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mograder.domain.names import INSTRUCTOR
from tests.parts import Running, environment

OPENAPI = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
KNOWN = (
    '[parameters]\n"path.assignment" = "hw1"\n"path.user" = "alice"\n"path.file" = "hw1.py"\n"query.user" = "alice"\n'
)


@pytest.mark.parametrize(
    ("who", "names", "phases"),
    [
        (None, "any", "coverage"),  # without a token most requests are refused early
        ("alice", "known", "fuzzing"),
        (INSTRUCTOR, "any", "fuzzing"),
        (INSTRUCTOR, "known", "coverage,fuzzing"),
    ],
)
def test_every_answer_conforms_to_the_openapi_description(
    server: Running, tmp_path: Path, who: str | None, names: str, phases: str
) -> None:
    server.submit("alice", b"work")
    server.client.post("/roster", json={"people": [{"user": "alice"}]}, headers=server.bearer())
    (tmp_path / "schemathesis.toml").write_text(KNOWN if names == "known" else "")
    token = ["--header", f"Authorization: {server.bearer(who)['Authorization']}"] if who else []
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", tmp_path / "schemathesis.toml", "run", OPENAPI,
            "--url", server.url, *token, "--checks", CHECKS, "--phases", phases, "--max-examples", "5",
            "--seed", "1", "--generation-database", "none", "--no-shrink", "--continue-on-failure", "--warnings", "off",
        ],
        env=environment() | {"PYTHONWARNINGS": ""}, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated, " in done.stdout
    assert server.stop() == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""  # no error is logged
