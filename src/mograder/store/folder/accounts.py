"""Accounts in the ledger of a course folder."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.access import Account
from mograder.domain.accounts import ChangeAccount
from mograder.domain.audit import Event
from mograder.domain.names import Username
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import ERASED_NAMES, change_account
from mograder.store.shared.erased import erased_account
from mograder.store.shared.rows import ACCOUNT_COLUMNS, account_of


class FolderAccounts:
    """An `AccountsStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, username: Username) -> Account | None:
        rows = self._ledger.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE username = ?", (username,))
        return account_of(rows[0]) if rows else erased_account(self._ledger.read(ERASED_NAMES), username)

    def find(self, username: Username) -> Account | None:
        rows = self._ledger.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE key = ?", (username.key,))
        return account_of(rows[0]) if rows else erased_account(self._ledger.read(ERASED_NAMES), username)

    def all(self) -> list[Account]:
        rows = self._ledger.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts ORDER BY username")
        return [account_of(row) for row in rows]

    def count(self) -> int:
        return int(self._ledger.read("SELECT count(*) FROM accounts")[0][0])

    def any_claimable(self, since: int) -> bool:
        claimable = "code_hash IS NOT NULL OR (claim_hash IS NOT NULL AND claimed > ?)"
        return bool(self._ledger.read(f"SELECT 1 FROM accounts WHERE {claimable} LIMIT 1", (since,)))

    def change(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        return self.change_many([(username, change, event)])[0]

    def change_many(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        return self._ledger.write(lambda connection: [change_account(connection, *each) for each in changes])
