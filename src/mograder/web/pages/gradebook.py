"""Grades there and back on an assignment's page: whom tables are about."""

from __future__ import annotations

from mograder.domain.access import Account
from mograder.domain.names import Username
from mograder.tables.people import Member
from mograder.web.pages.page_request import PageRequest


def members_of(request: PageRequest) -> list[Member]:
    """Everybody on the roster and everybody who has submitted, but for who was removed."""
    accounts = {each.username: each for each in request.course.roster.all()}
    names = {row.username for row in request.api.board().rows}
    names |= {each.username for each in accounts.values() if not each.removed}
    return [_member(name, accounts.get(name)) for name in sorted(names)]


def _member(name: Username, account: Account | None) -> Member:
    if account is None:
        return Member.known(name)
    return Member.known(name, account.name, account.email, account.sections, account.ids)
