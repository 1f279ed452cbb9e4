"""Codes that people type: how a personal code is spelled, and which spellings of a code are the same."""

from __future__ import annotations

import hmac
import unicodedata

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""The letters of a personal code: none that look like another."""

CODE_LENGTH = 12
"""Letters of a personal code, which nobody guesses (59 bits)."""


def spelled(letters: str) -> str:
    """Letters as a code that can be read out: abcd-efgh-jkmn."""
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def folded(code: str) -> str:
    """`code` without spaces, hyphens and differences of case."""
    text = unicodedata.normalize("NFKC", code).casefold()
    return "".join(letter for letter in text if not letter.isspace() and unicodedata.category(letter) != "Pd")


def spelled_personal(code: str) -> str:
    """A personal code as it was given out, from however it was typed."""
    return spelled(folded(code))


def looks_personal(code: str) -> bool:
    """Whether `code` could be a personal code."""
    letters = folded(code)
    return len(letters) == CODE_LENGTH and set(letters) <= set(CODE_LETTERS)


def same_code(left: str, right: str) -> bool:
    """Whether two codes are one, whatever their spaces, hyphens and case. Takes the same time wherever they differ."""
    short = folded(left), folded(right)
    return same_text(*short) if all(short) else same_text(left.strip(), right.strip())


def same_text(left: str, right: str) -> bool:
    """Equality that takes the same time wherever the texts differ."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
