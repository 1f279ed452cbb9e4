"""What single cells mean: numbers, excuses, ids that a spreadsheet has changed, formulas."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

EXCUSED = "EX"
"""How an excused grade is stored and written."""

_EXCUSED = frozenset({"ex", "excused"})
_NOTHING = frozenset({"", "-", "–", "—", "(read only)", "n/a"})

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(\.\d{3})+,\d+", re.ASCII)
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+", re.ASCII)
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_EXACT_DIGITS = 15  # a spreadsheet keeps that many digits of a number
_LONGEST = 40  # characters of a number that people write


@dataclass(frozen=True)
class Grade:
    """A grade cell as it is understood. Exactly one of these holds: `text` is the grade to store, or there is none
    (`text` is "" and `problem` is ""), or the cell cannot be understood and `problem` says why.

    `value` is the grade as a number of points, None for one that is no number.
    """

    text: str = ""
    value: Decimal | None = None
    problem: str = ""


def parse_grade(cell: str, maximum: float | None, allow_text: bool = False) -> Grade:
    """A cell's grade: points (decimal point or comma), a percentage of `maximum`, EX for excused, or none.

    An empty cell or a dash is no grade, never 0. With `allow_text` other words are grades, too ("A", "pass").
    """
    text = cell.replace("\u00a0", " ").replace("\u2212", "-").strip()
    if text.lower() in _NOTHING:
        return Grade()
    if text.lower() in _EXCUSED:
        return Grade(EXCUSED)
    percent = text.endswith("%")
    number = text.removesuffix("%").rstrip() if percent else text
    value, problem = _number(number, 100 if percent else maximum)
    if problem:
        return Grade(problem=problem)
    if value is None:
        return Grade(text) if allow_text and not is_formula(text) else Grade(problem="not a number")
    if percent:
        if maximum is None:
            return Grade(problem="a percentage, and the assignment does not say out of how many points")
        value = value * Decimal(str(maximum)) / 100
    return Grade(plain(value), value)


def _number(text: str, most: float | None) -> tuple[Decimal | None, str]:
    """(`text` as a number, None if it is none; why it is ambiguous, else ""). The number should be `most` at most.

    "1,234" can be 1234 or 1.234: only `most` decides.
    """
    if len(text) > _LONGEST:
        return None, ""
    if _GROUPED.fullmatch(text):
        point = max(text.rfind("."), text.rfind(","))
        return Decimal(re.sub(r"[.,]", "", text[:point]) + "." + text[point + 1 :]), ""
    if not _NUMBER.fullmatch(text):
        return None, ""
    if _AMBIGUOUS.fullmatch(text) and (most is None or abs(int(text.replace(",", ""))) <= most):
        return None, f"could be {text.replace(',', '')} or {text.replace(',', '.')}: write it with a decimal point"
    return Decimal(text.replace(",", ".")), ""


def plain(value: Decimal) -> str:
    """A number as people write it: no exponent, no trailing zeros, a decimal point."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def as_number(text: str | None) -> Decimal | None:
    """A stored grade as a number, None when it is none."""
    return parse_grade(text or "", None).value


# ids


def mangled(text: str, known: frozenset[str]) -> str:
    """A message on how a spreadsheet has changed an id that is none of `known`, "" if it does not seem to have.

    Spreadsheets turn ids into numbers: 1.23E+05, without leading zeros, with zeros after the fifteenth digit.
    """
    if _SCIENTIFIC.fullmatch(text):
        return "a spreadsheet has made a rounded number of this id: format the column as text and export again"
    whole = re.sub(r"[.,]0+$", "", text)
    if not (whole.isascii() and whole.isdecimal()) or text in known:
        return ""
    bare = whole.lstrip("0")
    for each in known:
        if each.isdecimal() and each.lstrip("0") == bare and bare:
            return f"looks like {each!r}, changed by a spreadsheet: format the column as text and export again"
        if len(whole) > _EXACT_DIGITS and len(each) == len(whole) and _rounded(whole, each):
            return f"looks like {each!r}, rounded by a spreadsheet: format the column as text and export again"
    return ""


def _rounded(text: str, known: str) -> bool:
    return text[_EXACT_DIGITS:].strip("0") == "" and known.startswith(text[: _EXACT_DIGITS - 1])


# formulas


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run the cell: it begins as a formula does and is no number and no lone dash."""
    return text.startswith(_FORMULA_STARTS) and text != "-" and not _NUMBER.fullmatch(text)


def neutralise(text: str) -> str:
    """The cell, with an apostrophe before it if a spreadsheet would run it. `restore` removes that again."""
    return f"'{text}" if is_formula(text.lstrip("'")) else text


def restore(text: str) -> str:
    """The cell that `neutralise` was given."""
    return text[1:] if text.startswith("'") and is_formula(text.lstrip("'")) else text


def normal(text: str) -> str:
    """A header or name to compare by: one Unicode form, no case, single spaces, nothing invisible."""
    shown = "".join(
        " " if letter == "\u00a0" else letter
        for letter in unicodedata.normalize("NFKC", text)
        if unicodedata.category(letter) not in ("Cf", "Cc") or letter.isspace()
    )
    return " ".join(shown.casefold().split())
