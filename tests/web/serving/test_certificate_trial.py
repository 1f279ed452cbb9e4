"""A certificate is loaded by the library that serves it, in a separate process that may crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mograder.web.serving.certificate_trial import load

MARK = b"\xef\xbb\xbf"


def make(folder: Path, *kind: str) -> tuple[Path, Path]:
    certificate, key = folder / "chain.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-subj", "/CN=localhost", "-days", "9"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("kind", [("rsa:2048",), ("ed25519",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")])
def test_a_certificate_that_the_library_serves_is_accepted(tmp_path: Path, kind: tuple[str, ...]) -> None:
    assert load(*make(tmp_path, *kind)) == ""


def test_an_unsupported_curve_is_refused_with_the_message_of_the_library(tmp_path: Path) -> None:
    pair = make(tmp_path, "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1")
    assert load(*pair) == "failed to parse private key as RSA, ECDSA, or EdDSA"


@pytest.mark.parametrize(
    ("marked", "said"),
    [(0, "it has no certificate that can be read"), (1, "it has no key that can be read")],
)
def test_a_byte_order_mark_is_refused_without_a_crash(tmp_path: Path, marked: int, said: str) -> None:
    pair = make(tmp_path, "rsa:2048")
    pair[marked].write_bytes(MARK + pair[marked].read_bytes())
    assert load(*pair) == said


def test_a_python_file_in_the_working_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssl.py").write_text("raise SystemExit(17)")
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path / "none.pem", tmp_path / "none.key") != ""
