"""Codes that people type: how a personal code is spelled, and which spellings of a code are the same."""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable
from itertools import pairwise

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""The letters of a personal code; no two look alike."""

CODE_LENGTH = 12
"""The number of letters of a personal code; that is 59 bits, too many to guess."""


def spelled(letters: str) -> str:
    """Letters in groups of four, which are easy to read out: abcd-efgh-jkmn."""
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def random_code(choose: Callable[[str], str] = secrets.choice) -> str:
    """A new personal code; `choose` gives a random letter of a text."""
    return spelled("".join([choose(CODE_LETTERS) for _ in range(CODE_LENGTH)]))


def folded(code: str) -> str:
    """`code` without spaces, hyphens and differences of case."""
    text = unicodedata.normalize("NFKC", code).casefold()
    return "".join(letter for letter in text if not letter.isspace() and unicodedata.category(letter) != "Pd")


def spelled_personal(code: str) -> str:
    """A personal code as it was given out, whatever way it was typed."""
    return spelled(folded(code))


def looks_personal(code: str) -> bool:
    """Whether `code` could be a personal code."""
    letters = folded(code)
    return len(letters) == CODE_LENGTH and set(letters) <= set(CODE_LETTERS)


WORDS, CHANGES, DIFFERENT = 4, 3, 6
"""What a code needs to be hard to guess: so many words, or so many changes between letters and digits (more than a word
with a year has); and so many different letters."""

CAN_BE_GUESSED = (
    "the enrollment code can be guessed by trying: while somebody tries, everybody in the same network has to wait"
)
HARDER = "take four or more unrelated words, or random letters and digits"


def is_hard_to_guess(code: str) -> bool:
    """Whether a course's code looks hard to guess: like a phrase, or like random letters and digits."""
    letters = folded(code)
    words = [each for each in re.split(r"[\W_]+", code) if len(each) > 1 and not each.isdigit()]
    changes = sum(one.isdigit() != other.isdigit() for one, other in pairwise(letters))
    enough = len(words) >= WORDS or changes >= CHANGES
    return enough and len(letters) >= CODE_LENGTH and len(set(letters)) >= DIFFERENT


def new_course_code(choose: Callable[[str], str]) -> str:
    """A new code for a course, hard to guess; `choose` gives a random letter of a text."""
    while True:
        code = random_code(choose)
        if is_hard_to_guess(code):
            return code


def same_code(left: str, right: str) -> bool:
    """Whether two codes are the same but for spaces, hyphens and case. Takes the same time wherever they differ."""
    short = folded(left), folded(right)
    return same_text(*short) if all(short) else same_text(left.strip(), right.strip())


def same_text(left: str, right: str) -> bool:
    """Equality that takes the same time wherever the texts differ."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
