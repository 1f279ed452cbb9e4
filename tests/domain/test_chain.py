"""A chain of receipts: each alteration is reported with its position, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from mograder.domain.chain import Break, Link, Tombstone, find_breaks, head_of, make_tombstone, parse_head
from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.domain.receipts import ChainPosition, Head, Receipt, issue_receipt
from mograder.signing import Ed25519Signer, new_private_key
from tests.domain.test_receipts import SIGNER, new
from tests.parts import NOON

Links = list[Link]


def chain(signer: Ed25519Signer = SIGNER) -> Links:
    """A chain of five positions, of which the third is a tombstone."""
    links: Links = []
    head = Head()
    for number in range(1, 6):
        position = ChainPosition(number, head.hash, None, f"alice_{number}.py")
        receipt = issue_receipt(new(b"%d" % number), signer, "Kurs")(position)
        head = Head(number, receipt.hash)
        links.append(make_tombstone(receipt, signer, "Kurs", NOON) if number == 3 else receipt)
    return links


def receipt_at(links: Links, number: int) -> Receipt:
    link = links[number - 1]
    assert isinstance(link, Receipt)
    return link


def erased_at_three(links: Links) -> Tombstone:
    link = links[2]
    assert isinstance(link, Tombstone)
    return link


def with_link(links: Links, number: int, link: Link) -> Links:
    return [*links[: number - 1], link, *links[number:]]


def named(breaks: Iterable[Break]) -> list[str]:
    """The texts of the breaks. Each names its position, and only those about missing signatures are marked as such."""
    found = list(breaks)
    for each in found:
        assert re.search(rf"\b{each.number}\b", each.what), each
        assert each.unsigned is each.what.endswith("is not signed by the course"), each
    return [each.what for each in found]


def test_an_unbroken_chain_matches_every_saved_head() -> None:
    links = chain()
    kept = [Head(each.number, each.hash) for each in links]
    assert list(find_breaks(links, SIGNER, kept)) == []
    assert list(find_breaks([], SIGNER, [Head()])) == []


def text_swapped(links: Links) -> Links:
    return with_link(links, 2, replace(receipt_at(links, 2), text=receipt_at(links, 1).text))


def another_seal(links: Links) -> Links:
    return with_link(links, 5, receipt_at(chain(Ed25519Signer(new_private_key())), 5))


def altered(receipt: Receipt, **changes: Any) -> Receipt:
    return replace(receipt, submission=replace(receipt.submission, **changes))


def erased_by(statement: Callable[[Links], str]) -> Callable[[Links], Links]:
    return lambda links: with_link(links, 3, replace(erased_at_three(links), statement=statement(links)))


def erased_at_two(links: Links) -> Links:
    """A tombstone in which only the statement is wrong: it belongs to another position."""
    second = receipt_at(links, 2)
    statement = erased_at_three(links).statement
    return with_link(links, 2, Tombstone(2, second.previous, second.hash, statement))


NOT_ERASED = "receipt {} is said to be erased, and the course did not sign that"
FOLLOWS = "receipt {} does not follow the one before it"
BROKEN: dict[str, tuple[Callable[[Links], Links], list[str]]] = {
    "one gone": (lambda links: [links[0], *links[2:]], ["receipts 2 to 2 are missing from the ledger"]),
    "the first gone": (lambda links: links[1:], ["receipts 1 to 1 are missing from the ledger"]),
    "one twice": (lambda links: [*links[:2], *links[1:]], ["receipt 2 is not in its place, after 2"]),
    "two exchanged": (
        lambda links: [links[1], links[0], *links[2:]],
        ["receipts 1 to 1 are missing from the ledger", "receipt 1 is not in its place, after 2",
         "receipts 2 to 2 are missing from the ledger"],
    ),
    "a text of another place": (
        text_swapped,
        ["receipt 2 was altered: number, previous, filename, sha256 is not what was signed"],
    ),
    "a time that is none": (
        lambda links: with_link(links, 4, altered(receipt_at(links, 4), received=10**30)),
        ["receipt 4 was altered: received is not what was signed"],
    ),
    "signed by another": (another_seal, [FOLLOWS.format(5), "receipt 5 is not signed by the course"]),
    "another previous": (
        lambda links: with_link(links, 4, replace(receipt_at(links, 4), previous="ab")),
        [FOLLOWS.format(4), "receipt 4 was altered: previous is not what was signed"],
    ),
    "another hash of the erased": (
        lambda links: with_link(links, 3, replace(erased_at_three(links), hash="ab")),
        [NOT_ERASED.format(3), FOLLOWS.format(4)],
    ),
    "erased by a receipt": (erased_by(lambda links: receipt_at(links, 2).text), [NOT_ERASED.format(3)]),
    "erased by nothing": (erased_by(lambda links: ""), ["receipt 3 is not signed by the course"]),
    "erased by another place's statement": (erased_at_two, [NOT_ERASED.format(2)]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BROKEN.values(), ids=BROKEN)
def test_every_break_is_reported_with_its_chain_position(change: Callable[[Links], Links], said: list[str]) -> None:
    assert named(find_breaks(change(chain()), SIGNER))[: len(said)] == said


def test_a_text_that_is_no_receipt_breaks_only_the_chain() -> None:
    links = with_link(chain(), 4, replace(receipt_at(chain(), 4), text="é"))
    assert named(find_breaks(links, SIGNER)) == ["receipt 4 is not signed by the course", FOLLOWS.format(5)]
    assert named(find_breaks(links, None)) == [FOLLOWS.format(5)]


def test_every_character_of_the_last_receipt_is_verified() -> None:
    links = chain()
    last = receipt_at(links, 5)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for letter in letters.replace(last.text[-1], ""):  # the last character has bits that are not part of the signature
        assert list(find_breaks(with_link(links, 5, replace(last, text=last.text[:-1] + letter)), SIGNER)), letter


def test_a_shorter_or_different_chain_does_not_match_a_saved_head() -> None:
    links = chain()
    assert named(find_breaks(links[:4], SIGNER, [Head(5, links[4].hash)])) == [
        "the chain was cut: it ends at receipt 4, and there was a receipt 5"
    ]
    kept = [Head(number, digest) for number in range(4) for digest in ("ab", links[number - 1].hash if number else "")]
    assert named(find_breaks(links, SIGNER, kept)) == [
        f"receipt {number} is another than the one that was kept" for number in range(4)
    ]


def test_a_head_is_written_as_a_number_and_a_hash() -> None:
    digest = "0123456789abcdef" * 4
    assert parse_head(f" 57:{digest.upper()}\n") == Head(57, digest)
    wrong = [f"{number}:{digest}" for number in ("", "x", "-1", "\u0663")]
    for text in ("", "57", f"57:{digest}0", f"57:{digest[:-1]}g", *wrong):
        with pytest.raises(BadRequest, match="is no head"):
            parse_head(text)


def test_a_receipt_states_its_chain_position_and_a_statement_of_an_erasure_is_no_receipt() -> None:
    links = chain()
    assert head_of(receipt_at(links, 4).text, SIGNER) == Head(4, links[3].hash)
    for text in (erased_at_three(links).statement, SIGNER.sign({"number": "x"}), "nonsense"):
        with pytest.raises(VerificationFailed, match=r"not signed by this course|is no receipt$"):
            head_of(text, SIGNER)


def test_the_signed_statement_of_an_erasure_has_chain_position_and_time() -> None:
    second, erased = receipt_at(chain(), 2), erased_at_three(chain())
    assert SIGNER.verify(erased.statement) == {
        "course": "Kurs", "erased": "2026-03-10T12:00:00.000000Z", "number": 3, "previous": second.hash,
        "hash": erased.hash,
    }  # fmt: skip
