"""`mograder https receipts` and `verify`: what a person can prove, fetched and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mograder.cli.arguments import IN_FILE, OUT_FOLDER
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, find, named, reads_from_a_server
from mograder.cli.output import note, table, tell, tell_json, when
from mograder.client.client import Client, known
from mograder.client.connection import normalise_url
from mograder.client.extract import folder_name
from mograder.client.files import replacing, sha256_of
from mograder.client.proof import KeptReceipt, KnownKeys, changed_key, read_keys, read_receipt
from mograder.client.result_proof import (
    RESULTS,
    KeptResult,
    binding,
    holds_result,
    keep_result,
    read_result,
    receipt_of,
    result_in_words,
    with_server,
)
from mograder.client.trust import TrustedServers, inside
from mograder.client.workspace import keep_receipt
from mograder.domain.chain import head_of
from mograder.domain.errors import NotFound, Usage, VerificationFailed
from mograder.domain.names import counted
from mograder.signing import Ed25519Signer
from mograder.wire import messages

RECEIPTS = ".mograder/receipts"


@click.command(short_help="List your receipts, and download them with your submissions.")
@click.argument("assignment", required=False, shell_complete=assignment_names)
@click.option("--user", help="List this student's, as an instructor.")
@click.option("-o", "--output-dir", type=OUT_FOLDER, help="Download receipts and versions into this folder.")
@reads_from_a_server
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def receipts(
    assignment: str | None, user: str | None, output_dir: Path | None, server: Server, as_json: bool
) -> None:  # fmt: skip
    """List your receipts for ASSIGNMENT, or for all, as the server has them now.

    With -o each version is downloaded as DIR/ASSIGNMENT/VERSION, with its receipt beside it in .mograder/receipts/ and
    the newest result in .mograder/results/, where mograder https verify finds them. What is there already is not
    downloaded again.

    \b
    Examples:
      mograder https receipts
      mograder https receipts hw1 -o history/
    """
    with server.connect(user) as (client, name):
        named(name, client.url)
        signer = KnownKeys().find(client.url) or KnownKeys().meet(client)
        if assignment is None:
            listed = client.all_receipts(name)
        else:
            listed = client.receipts(find(client, assignment, name).name, name)
        for each in listed:
            if signer and not signer_fits(signer, each):
                raise changed_key(client.url)
        if output_dir:
            for each in listed:
                _download(client, each, output_dir)
            for one in dict.fromkeys(each.assignment for each in listed):
                _download_result(client, one, name, signer, output_dir)
    if as_json:
        tell_json(listed)
    else:
        rows = [_row(each) for each in listed]
        table(("Receipt", "Assignment", "Submission", "Received", "Lateness", "Bytes", "SHA-256"), rows)
    if output_dir:
        note(f"{counted(len(listed), 'version')} with receipts: in {output_dir}")


def _row(info: messages.ReceiptInfo) -> tuple[str, ...]:
    received = when(info.received, seconds=True)
    late = "" if known(info.duedate) is None else "late" if known(info.late) else "on time"
    return str(info.number), info.assignment, str(info.attempt), received, late, str(info.size), info.sha256[:12]


def signer_fits(signer: Ed25519Signer, info: messages.ReceiptInfo) -> bool:
    try:
        return bool(signer.verify(info.receipt))
    except VerificationFailed:
        return False


def _download(client: Client, info: messages.ReceiptInfo, output_dir: Path) -> None:
    path = inside(output_dir, Path(folder_name(info.assignment), folder_name(info.version)))
    if not path.is_file() or sha256_of(path) != info.sha256:
        with replacing(path) as file:
            client.version(info, file)
    keep_receipt(path, client.url, info)


def _download_result(
    client: Client, assignment: str, user: str, signer: Ed25519Signer | None, output_dir: Path
) -> None:
    """Keep the newest result beside the receipt that it belongs to; a course that grades nothing has none."""
    try:
        found = client.result(assignment, user).result
    except NotFound:
        return
    if found and found.statement and signer:
        home = inside(output_dir, Path(folder_name(assignment)))
        keep_if_ours(home, client.url, assignment, found.statement, signer)


def keep_if_ours(home: Path, url: str, assignment: str, statement: str, signer: Ed25519Signer) -> Path | None:
    """Keep a result in `home` when the receipt of its submission is kept there. Raises VerificationFailed."""
    receipt = receipt_of(statement, signer, [home / RECEIPTS])
    return None if receipt is None else keep_result(receipt, url, assignment, statement)


# verify


class Checked(Struct, frozen=True):
    """The check of one receipt, result or file; `problem` says what is wrong with it, "" for nothing."""

    what: str
    problem: str = ""


@click.command(short_help="Check receipts against your files and the server's chain.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--offline", is_flag=True, help="Ask no server: check signatures and files only.")
@click.option(
    "--keys",
    type=IN_FILE,
    help="The public keys to trust, as saved from /.well-known/jwks.json. [default: those pinned at the first login]",
)
@reads_from_a_server
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def verify(paths: tuple[Path, ...], offline: bool, keys: Path | None, server: Server, as_json: bool) -> None:
    """Check your receipts and results: by signature, against your files, and against the server's chain.

    PATHS are receipts, results, files that you submitted (their receipts and results are looked for in .mograder/
    beside them), or folders with all of these below; by default the working folder. A result is right when the course
    signed it and one of the receipts is for the very submission that was graded. The exit code is 7 when one is not
    right.

    \b
    Examples:
      mograder https verify
      mograder https verify hw1/homework.py --offline
      mograder https verify receipt.json --keys jwks.json --offline
    """
    check_own(paths, offline, keys, server, as_json)


def check_own(paths: tuple[Path, ...], offline: bool, keys: Path | None, server: Server, as_json: bool) -> None:
    """Print of each receipt, result and file of a person whether it is right.

    Raises VerificationFailed when one is not, and Usage without receipts or without keys that the person trusts.
    """
    files = [path for path in paths if path.is_file() and not holds_receipt(path) and not holds_result(path)]
    kept = [read_receipt(path) for path in _receipts_of(paths or (Path(),), files)]
    graded = [with_server(read_result(path), kept) for path in _results_of(paths or (Path(),), files)]
    if not kept and not files and not graded:
        raise Usage("there is no receipt here: name receipts, files that you submitted, or their folder")
    trusted = read_keys(keys) if keys else None
    found: list[Checked] = []
    servers: list[dict[str, str]] = []
    right: list[tuple[KeptReceipt, Mapping[str, Any]]] = []
    for url, group in _by_server([*kept, *graded], server).items():
        signer = trusted or _trusted_keys(url, server, offline)
        servers.append({"server": url, "key": signer.public_keys()[0]["kid"]})
        genuine = []
        for receipt in [each for each in group if isinstance(each, KeptReceipt)]:
            try:
                genuine.append((receipt, receipt.claims(signer)))
            except VerificationFailed as error:
                found.append(Checked(str(receipt.path), error.message))
        if not offline:
            found += _against_server(genuine, server, url, signer)
        for result in [each for each in group if isinstance(each, KeptResult)]:
            found.append(_checked_result(result, signer, [claims for _, claims in genuine]))
        right += genuine
    wrong = {each.what for each in found if each.problem}
    found = [Checked(_described(*each)) for each in right if str(each[0].path) not in wrong] + found
    found += _against_files(files, [claims for receipt, claims in right if str(receipt.path) not in wrong])
    if not as_json:
        for one in servers:
            tell(f"server: {one['server'] or '(none)'}, signing with the key {one['key']}")
    report(found, as_json, servers=servers)


def _checked_result(result: KeptResult, signer: Ed25519Signer, receipts: list[Mapping[str, Any]]) -> Checked:
    """Whether a result is signed, and of a submission that one of these receipts is for."""
    try:
        stated = result.verified(signer)
    except VerificationFailed as error:
        return Checked(str(result.path), error.message)
    if problem := binding(stated, receipts):
        return Checked(str(result.path), problem)
    return Checked(f"{result_in_words(stated)}, graded {_moment(stated.graded)}")


def _results_of(paths: Iterable[Path], files: list[Path]) -> Iterable[Path]:
    """The files of results, each once: those in folders, those beside files, and those that are named."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob(f"**/{RESULTS}/*.json"))
        elif path in files:
            found += sorted(path.parent.glob(f"{RESULTS}/*.json"))
        elif holds_result(path):
            found.append(path)
    return _each_once(found)


def _receipts_of(paths: Iterable[Path], files: list[Path]) -> Iterable[Path]:
    """The files of receipts, each once: those in folders, those beside files and results, and those that are named."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob(f"**/{RECEIPTS}/*.json"))
        elif path in files:
            found += sorted(path.parent.glob(f"{RECEIPTS}/*.json"))
        elif not holds_result(path):
            found.append(path)
        elif path.parent.name == "results":
            found += sorted(path.resolve().parent.parent.glob("receipts/*.json"))
    return _each_once(found)


def _each_once(paths: Iterable[Path]) -> Iterable[Path]:
    once: dict[Path, Path] = {}
    for path in paths:
        if path.is_file():
            once.setdefault(path.resolve(), path)
    return once.values()


def is_of_a_person(paths: Iterable[Path]) -> bool:
    """Whether a receipt, or a result as students get it, is among the files."""
    return any(holds_receipt(path) or (holds_result(path) and read_result(path).said is None) for path in paths)


def holds_receipt(path: Path) -> bool:
    if path.suffix not in (".json", ".jws", ".txt"):
        return False
    try:
        read_receipt(path)
    except Usage:
        return False
    return True


def _by_server(kept: Iterable[KeptReceipt | KeptResult], server: Server) -> dict[str, list[KeptReceipt | KeptResult]]:
    """The files by their server: the one that was given, else the one that the file names, else the last login's."""
    groups: dict[str, list[KeptReceipt | KeptResult]] = {}
    for receipt in kept:
        url = normalise_url(server.url or receipt.server) if server.url or receipt.server else server.address() or ""
        groups.setdefault(url, []).append(receipt)
    return groups


def _trusted_keys(url: str, server: Server, offline: bool) -> Ed25519Signer:
    """The keys of a server that this person named with --url or has a login at.

    Raises Usage for a server that only a file names, and VerificationFailed.
    """
    if not server.url and not TrustedServers().vouches(url):
        place = f"{url}, which the receipt names" if url else "the course"
        raise Usage(
            f"you have no login at {place}, so its keys prove nothing: give --url or --keys, or log in there first"
        )
    signer = KnownKeys().find(url)
    if signer is None and not offline:
        with server.open(url, None) as client:
            signer = KnownKeys().meet(client)
    if signer is None:
        raise Usage(f"the keys of {url} are not known here: give --keys, or log in once")
    return signer


def _against_server(
    genuine: list[tuple[KeptReceipt, Mapping[str, Any]]], server: Server, url: str, signer: Ed25519Signer
) -> Iterator[Checked]:
    """Whether each receipt still has its place in the server's chain."""
    if not genuine:
        return
    # A token that was given goes only to a server that was given. Another server gets that of the login there.
    there = server if server.url else Server(url or None, None, server.patience)
    for user in sorted({str(claims["user"]) for _, claims in genuine}):
        with there.connect(user) as (client, _):
            texts = {each.number: each.receipt for each in client.all_receipts(user)}
            head = client.chain_head()
        for receipt, claims in genuine:
            if claims["user"] != user:
                continue
            own = head_of(receipt.text, signer)
            if own.number > head.number:
                problem = f"the server's chain was cut: it ends at receipt {head.number}"
            elif texts.get(own.number) != receipt.text or (own.number == head.number and own.hash != head.hash):
                problem = f"the server's chain has something else in the place of receipt {own.number}"
            else:
                continue
            yield Checked(str(receipt.path), problem)


def _against_files(files: list[Path], stated: list[Mapping[str, Any]]) -> Iterator[Checked]:
    """Whether each file is what a receipt is for."""
    known = {claims["sha256"]: claims for claims in stated}
    for path in files:
        claims = known.get(sha256_of(path))
        if claims is None:
            yield Checked(str(path), "no receipt is for these bytes: the file was changed since, or never submitted")
        else:
            yield Checked(f"{path}: is what receipt {claims['number']} is for")


def _described(receipt: KeptReceipt, claims: Mapping[str, Any]) -> str:
    late = "" if claims.get("due") is None else ", late" if claims.get("late") else ", on time"
    copy = ""
    with contextlib.suppress(OSError, IndexError):
        beside = receipt.path.resolve().parents
        for path in [*sorted(beside[2].iterdir()), *sorted(beside[0].glob("*.zip"))]:
            if path.is_file() and path.stat().st_size == claims.get("size") and sha256_of(path) == claims["sha256"]:
                copy = f", {path.name}"
                break
    return (
        f"receipt {claims['number']}: {claims['user']}, {claims['assignment']}, submission {claims.get('attempt')}, "
        f"received {_moment(claims.get('received'))}{late}{copy}"
    )


def _moment(stated: object) -> str:
    """A moment of a receipt by the person's own clock, as every other command shows it."""
    try:
        return when(datetime.fromisoformat(str(stated)).timestamp(), seconds=True)
    except ValueError:
        return str(stated)


def report(found: list[Checked], as_json: bool, **more: object) -> None:
    """Print what was found; `more` are keys of the JSON. Raises VerificationFailed when one is not right."""
    wrong = [each for each in found if each.problem]
    if as_json:
        tell_json({"checked": found, **more})
    else:
        for each in found:
            tell(f"wrong: {each.what}: {each.problem}" if each.problem else f"right: {each.what}")
    if wrong:
        raise VerificationFailed(f"{len(wrong)} of {len(found)} are not right")
