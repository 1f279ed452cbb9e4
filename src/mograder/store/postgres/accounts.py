"""Accounts of a course in a database."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.access import Account
from mograder.domain.accounts import ChangeAccount
from mograder.domain.audit import Event
from mograder.domain.names import Username
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import ERASED_NAMES, put_accounts, record
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.erased import erased_account
from mograder.store.shared.rows import ACCOUNT_COLUMNS, account_of

ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s AND key = %s"
ACCOUNTS_OF = f"SELECT key, {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s AND key = ANY(%s)"
"""The accounts of several people, each behind its key."""


class PostgresAccounts(Adapter):
    """An `AccountsStore`."""

    def get(self, username: Username) -> Account | None:
        account = self.find(username)
        return account if account and account.username == username else None

    def find(self, username: Username) -> Account | None:
        rows = self._tables.recall(ACCOUNT, username.key)
        return account_of(rows[0]) if rows else erased_account(self._tables.recall(ERASED_NAMES), username)

    def all(self) -> list[Account]:
        rows = self._tables.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s")
        return sorted(map(account_of, rows), key=lambda each: each.username)

    def count(self) -> int:
        return int(self._tables.read("SELECT count(*) FROM accounts WHERE course = %s")[0][0])

    def any_claimable(self, since: int) -> bool:
        claimable = "code_hash IS NOT NULL OR (claim_hash IS NOT NULL AND claimed > %s)"
        return bool(self._tables.read(f"SELECT 1 FROM accounts WHERE course = %s AND ({claimable}) LIMIT 1", since))

    def change(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        return self.change_many([(username, change, event)])[0]

    def change_many(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        def work(connection: Connection) -> list[Account]:
            # One writer at a time in a course: an account that does not exist yet has no row to lock.
            connection.execute("SELECT 1 FROM courses WHERE course = %s FOR UPDATE", (self._course,))
            keys = [username.key for username, _, _ in changes]
            rows = connection.execute(
                f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s AND key = ANY(%s)", (self._course, keys)
            ).fetchall()
            erased = connection.execute(ERASED_NAMES, (self._course,)).fetchall()
            held = {account.username.key: account for account in map(account_of, rows)}
            accounts, changed, events = [], [], []
            for username, change, event in changes:
                before = held.get(username.key) or erased_account(erased, username)
                account = change(before)
                accounts.append(account)
                if account != before:
                    held[username.key] = account
                    changed.append(account)
                    events.append(event)
            put_accounts(connection, self._course, changed)
            record(connection, self._course, events)
            return accounts

        return self._tables.write(work)
