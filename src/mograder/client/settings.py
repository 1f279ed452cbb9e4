"""A client's settings in the mograder.toml of the working folder. The file may come from anybody: see trust.py."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from mograder.client.extract import folder_name
from mograder.client.files import read_foreign
from mograder.client.trust import CONFIG_NAME, named_folder
from mograder.domain.allowance import MIB
from mograder.domain.errors import Usage
from mograder.text import person_text

MAX_SIZE = MIB
"""Bytes of a mograder.toml at most."""

MAX_COST = 100_000_000
"""The highest cost of parsing: bytes times the most dots in a line, as the parser compares all parts of a dotted key.
"""


class Settings(Struct, frozen=True):
    """A client's settings; "" if not given. `submitted` and `feedback` are relative to the file's folder."""

    url: str = ""
    token: str = ""
    submitted: str = "submitted"
    feedback: str = "feedback"


def read_settings(folder: Path) -> Settings:
    """The settings of the mograder.toml in `folder`, defaults without one. Raises Usage if it cannot be parsed."""
    path = folder / CONFIG_NAME
    try:
        document = parse_foreign(read_foreign(path, MAX_SIZE))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise Usage(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = {}
    for table, keys in {"https": ("url", "token"), "dirs": ("submitted", "feedback")}.items():
        values = document.get(table, {})
        for key in keys:
            if isinstance(values, dict) and key in values:
                if not isinstance(values[key], str):
                    raise Usage(f"{path}: {table}.{key} must be a text")
                found[key] = values[key]
    return Settings(**found)


def parse_foreign(content: bytes) -> dict[str, Any]:
    """The content of a mograder.toml from anybody. Raises ValueError if it is invalid or would take long to parse."""
    if len(content) > MAX_SIZE:
        raise ValueError(f"it has more than {MAX_SIZE} bytes")
    text = person_text(content)
    if len(text) * max(line.count(".") for line in text.split("\n")) > MAX_COST:
        raise ValueError("a line has too many dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def submissions_folder(folder: Path, assignment: str) -> Path:
    """The folder into which fetch-submissions collects, by [dirs] submitted. Raises Usage if it is outside `folder`."""
    return named_folder(folder, "submitted", read_settings(folder).submitted, folder_name(assignment))


def feedback_folder(folder: Path, assignment: str) -> Path:
    """The folder in which upload-feedback finds pages, by [dirs] feedback. Raises Usage if it is outside `folder`."""
    return named_folder(folder, "feedback", read_settings(folder).feedback, folder_name(assignment))
