"""The course: one method for each thing that a person can do; every rule lives here.

Methods take what the edge has parsed (names) and who asks (`Actor`), and return values or raise. Who may call what is
in the endpoint table; what an actor may do beyond that is decided here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mograder.domain import board, counting, deadlines, grades, tokens
from mograder.domain.access import COURSE_INSTRUCTOR, Account, Actor, Role
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.board import Board, read_board
from mograder.domain.chain import make_tombstone
from mograder.domain.counting import AssessedSubmission
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import (
    BadRequest,
    NameTaken,
    NotFound,
    RegistrationOff,
    Temporary,
    Unauthenticated,
    Unreadable,
    WrongCode,
)
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry, Uploaded
from mograder.domain.names import (
    INSTRUCTOR,
    AssignmentName,
    FileName,
    Username,
    counted,
    parse_new_username,
    printable,
)
from mograder.domain.receipts import Head, Receipt, Signer, latest_filename
from mograder.domain.roster import Person, random_code
from mograder.domain.rule_editor import RuleEditor
from mograder.domain.store import ERASED_NAME, Event, Fetched, LatestFile, Store, StoredFile
from mograder.domain.submissions import TakesSubmissions
from mograder.domain.tokens import Token

MIN_CLAIM_KEY, MAX_CLAIM_KEY = 32, 200  # characters
ASK_AGAIN_FOR = 3600 * deadlines.SECOND
"""How long after a registration its claim key is answered with the same token."""


@dataclass(frozen=True)
class Standing:
    """How one person stands in one assignment, as the person may see it.

    `schedule` is the person's own, with the extension in it. `kept` are all submissions, in the order of acceptance, of
    which `counting` counts, by the course's `rule`. `fetched`: something of the assignment was downloaded.
    `grades_broken`: whether there is a grade cannot be said now, as the table cannot be understood.
    """

    submitted: bool
    grade: GradeEntry | None
    feedback_available: bool
    schedule: Schedule
    extension: Extension | None
    kept: tuple[AssessedSubmission, ...]
    counting: AssessedSubmission | None
    rule: CountingRule
    fetched: bool = False
    grades_broken: bool = False

    @property
    def has_feedback(self) -> bool:
        return self.feedback_available or (self.grade is not None and bool(self.grade.feedback))

    @property
    def state(self) -> str:
        graded = self.grade is not None and self.grade.grade is not None
        late = self.counting is not None and self.counting.lateness.late
        return board.state(graded=graded, late=late, submitted=self.submitted, fetched=self.fetched)


@dataclass(frozen=True)
class Holdings:
    """What a course holds about a person: the assignments where there are submissions, grades, feedback."""

    account: bool = False
    receipts: int = 0
    submissions: tuple[AssignmentName, ...] = ()
    grades: tuple[AssignmentName, ...] = ()
    feedback: tuple[AssignmentName, ...] = ()


@dataclass(frozen=True)
class Download:
    """That somebody got `/assignments/<assignment>/files/<file>` at `moment` (Unix microseconds)."""

    actor: Actor
    assignment: str
    file: str
    moment: int


@dataclass(frozen=True)
class Course(TakesSubmissions):
    """One course over a store; handing in is in `TakesSubmissions`.

    `clock` gives Unix microseconds; `enrollment_code` "" means no registration.
    """

    store: Store
    signer: Signer
    clock: Callable[[], int]
    enrollment_code: str = ""
    max_upload: int = 100 * 1024 * 1024  # bytes
    new_code: Callable[[], str] = random_code
    new_secret: Callable[[], str] = tokens.random_secret

    def config_errors(self, actor: Actor) -> tuple[Unreadable, ...]:
        """The files of the course that cannot be understood now, for those who may know: instructors."""
        return self.store.config_errors() if actor.is_instructor else ()

    # who

    @property
    def url(self) -> str:
        """Where students reach the course, "" when the plan does not say."""
        return self.plan.url

    @property
    def registration_open(self) -> bool:
        """Whether somebody can register now, or ask again for the answer that was lost."""
        return bool(self.enrollment_code) or any(
            account.code_hash or self._recently_claimed(account) for account in self.store.accounts()
        )

    def check_registration(self) -> None:
        """Raises RegistrationOff."""
        if not self.registration_open:
            raise RegistrationOff("registration is off: ask your instructor for a token")

    def register(self, user: str, code: str, claim_key: str = "") -> tuple[Username, str]:
        """Bind a user name to whoever knows the code; the name and its token.

        Who comes again soon with the `claim_key` of the first time, a random text of the sender's own, is answered the
        same: the answer was lost on the way. Raises BadRequest, BadName, WrongCode, and NameTaken when somebody has the
        name already.
        """
        self.check_registration()
        username = parse_new_username(user)
        if claim_key and not MIN_CLAIM_KEY <= len(claim_key) <= MAX_CLAIM_KEY:
            raise BadRequest(
                f"the claim key has {counted(len(claim_key), 'character')}: make {MIN_CLAIM_KEY} random ones"
            )
        account = self.store.account(username)
        if account is not None and self._asks_again(account, claim_key):
            return username, tokens.sign(self.store.secrets()[0], username, account.generation)
        personal = account.code_hash if account else None
        given = code.strip()
        # Both are compared whatever the first says, so that the time taken tells nothing.
        right_shared = bool(self.enrollment_code) and same_text(given, self.enrollment_code)
        right_personal = personal is not None and same_text(hash_code(given), personal)
        if not (right_personal or (right_shared and personal is None)):
            raise WrongCode("wrong enrollment code: ask your instructor for the course's code")
        now = self.clock()
        claim_hash = hash_code(claim_key) if claim_key else None
        in_use = account is None and self._has_handed_in(username)

        def claim(held: Account | None) -> Account:
            if held is None:
                if in_use:
                    raise self._taken(username)
                return Account(username, bound=True, created=now, claim_hash=claim_hash, claimed=now)
            if held.username == username and self._asks_again(held, claim_key):
                return held  # the first time is still under way
            if held.username != username or held.code_hash != personal or (held.bound and personal is None):
                raise self._taken(username)
            return replace(held, bound=True, code_hash=None, claim_hash=claim_hash, claimed=now)

        account = self.store.change_account(username, claim, Event(now, username, "register", username))
        return username, tokens.sign(self.store.secrets()[0], username, account.generation)

    def _recently_claimed(self, account: Account) -> bool:
        """Whether who claimed this name may still ask for the token again."""
        return account.claim_hash is not None and self.clock() < account.claimed + ASK_AGAIN_FOR

    def _asks_again(self, account: Account, claim_key: str) -> bool:
        """Whether this is who claimed the name a short while ago."""
        return (
            bool(claim_key) and self._recently_claimed(account)
            and same_text(hash_code(claim_key), account.claim_hash or "")
        )  # fmt: skip

    def end_claim(self, actor: Actor) -> None:
        """The answer to this person's registration has been seen: it is given to nobody again.

        Else who comes to the same browser next could send the form of the person before once more.
        """
        account = self.store.account(actor.username)
        if account is not None and account.claim_hash is not None:
            self._change_person(actor, "logout", actor.username, lambda held: replace(held, claim_hash=None))

    @staticmethod
    def _taken(username: Username) -> NameTaken:
        return NameTaken(
            f"the name {username!r} is taken: if it is yours, log in with your token (your instructor can tell you "
            "it); otherwise choose another name"
        )

    def enrol(self, usernames: list[Username]) -> list[tuple[Username, str]]:
        """Bind names for which an instructor hands out tokens, so that nobody else can claim them: all or none.

        Raises NameTaken, also for somebody who was removed from the course.
        """
        now = self.clock()
        secret = self.store.secrets()[0]

        def bind(username: Username) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, username)
                if held is not None and held.removed:
                    raise NameTaken(f"{username!r} was removed from the course: 'mograder roster reset' brings back")
                return replace(held or Account(username, created=now), bound=True)

            return change

        bound = self.store.change_accounts(
            [(name, bind(name), Event(now, INSTRUCTOR, "enrol", name)) for name in usernames]
        )
        return [(each.username, tokens.sign(secret, each.username, each.generation)) for each in bound]

    def authenticate(self, token: Token, secrets: Sequence[str] | None = None) -> Actor:
        """Who holds `token`. Raises Unauthenticated when it is not genuine, or has been revoked.

        `secrets` are the store's, if they were just read.
        """
        # The course's own token is never reset: it is good although the ledger cannot be read.
        account = self.store.account(token.username) if token.username != INSTRUCTOR else None
        generation = account.generation if account else 0
        if not token.verify(secrets or self.store.secrets(), generation):
            raise Unauthenticated("wrong token: log in again, or ask your instructor for a new one")
        return _actor(token.username, account)

    def resume(self, username: Username, generation: int) -> Actor:
        """Who was let in as `username` at this `generation`. Raises Unauthenticated after a reset or removal."""
        account = self.store.account(username)
        if generation != (account.generation if account else 0):
            raise Unauthenticated("your session has ended: log in again")
        return _actor(username, account)

    def generation(self, username: Username) -> int:
        """How often the person's token was revoked."""
        account = self.store.account(username)
        return account.generation if account else 0

    def spend(self, ticket: str, until: int) -> None:
        """Use up a one-time `ticket` that is good until `until` (Unix microseconds). Raises Unauthenticated."""
        now = self.clock()
        if now > until or not self.store.spend(ticket, now, until):
            raise Unauthenticated("this link was used already or is too old: ask for a new one")

    # the roster

    def roster(self) -> list[Account]:
        """Everybody with an account, removed people included, sorted by name."""
        return self.store.accounts()

    def add_people(self, actor: Actor, people: Sequence[Person]) -> list[tuple[Account, str]]:
        """Put people on the roster: all or none. Each with the personal code that claims the name, said only now.

        Who is there already stays as they are and gets "" for a code; a name that was missing is filled in. Raises
        NameTaken when a name differs from another's by case alone.
        """
        now = self.clock()
        codes = {person.username: "" for person in people}

        def add(person: Person) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, person.username)
                if held is not None and (held.bound or held.code_hash):
                    return replace(held, name=held.name or person.name)
                codes[person.username] = code = self.new_code()
                return Account(
                    person.username, person.role, person.name, created=now, code_hash=hash_code(code),
                    generation=held.generation if held else 0,
                )  # fmt: skip

            return change

        changes = [(each.username, add(each), Event(now, actor.username, "add", each.username)) for each in people]
        return [(account, codes[account.username]) for account in self.store.change_accounts(changes)]

    def reset(self, actor: Actor, username: Username) -> tuple[Account, str]:
        """Revoke a person's token; a new personal code claims the name again. Brings back who was removed.

        Raises NotFound.
        """
        code = self.new_code()
        return self._change_person(actor, "reset", username, lambda held: replace(
            held, generation=held.generation + 1, bound=False, code_hash=hash_code(code), removed=False, claim_hash=None
        )), code  # fmt: skip

    def set_role(self, actor: Actor, username: Username, role: Role) -> Account:
        """Raises NotFound."""
        return self._change_person(actor, "role", username, lambda held: replace(held, role=role), role.value)

    def remove(self, actor: Actor, username: Username) -> Account:
        """Revoke a person's token or code for good. Submissions stay, and nobody else can claim the name.

        Raises NotFound.
        """
        return self._change_person(actor, "remove", username, lambda held: replace(
            held, generation=held.generation + 1, bound=True, code_hash=None, removed=True, claim_hash=None
        ))  # fmt: skip

    def _change_person(
        self, actor: Actor, action: str, username: Username, change: Callable[[Account], Account], detail: str = ""
    ) -> Account:
        now = self.clock()
        # A course brought from elsewhere has people, with tokens, who have no account yet.
        unlisted = Account(username, bound=True, created=now) if self._has_handed_in(username) else None

        def change_held(held: Account | None) -> Account:
            person = held or unlisted
            if person is None or person.username != username or username.reserved:
                raise NotFound(f"nobody called {username!r} is on the roster")
            return change(person)

        return self.store.change_account(username, change_held, Event(now, actor.username, action, username, detail))

    def events(self, limit: int = 1000) -> list[Event]:
        """Who did what of late, newest first."""
        return self.store.events(limit)

    def rotate_secret(self, actor: Actor, grace: int) -> int:
        """Make a new secret. Tokens of the one before are good for `grace` more microseconds; when that ends."""
        now = self.clock()
        self.store.change_secret(self.new_secret(), now + grace, Event(now, actor.username, "rotate", "secret"))
        return now + grace

    def holdings(self, username: Username) -> Holdings:
        """What the course holds about a person. Raises NotFound when there is nothing, and never was."""
        receipts = list(self.receipts(username))
        names = {each.name for each in self.store.assignments()} | {each.submission.assignment for each in receipts}
        latest = FileName(latest_filename(username))
        found = Holdings(
            account=any(each.username == username for each in self.store.accounts()),
            receipts=len(receipts),
            submissions=tuple(sorted(name for name in names if self.store.submitted_file(name, latest))),
            grades=tuple(sorted(name for name in names if grades.of_person(self.store.grades(name), username))),
            feedback=tuple(sorted(name for name in names if self.store.feedback(name, username))),
        )
        if username.reserved or (found == Holdings() and self.store.account(username) is None):
            raise NotFound(f"the course holds nothing about {username!r}")
        return found

    def erase(self, actor: Actor, username: Username) -> Holdings:
        """Keep nothing of a person but places in the chain, which stays whole; what was held.

        Nobody can take the name. Raises NotFound.
        """
        held, now, name = self.holdings(username), self.clock(), self.name
        event = Event(now, actor.username, "erase", ERASED_NAME, counted(held.receipts, "receipt"))
        self.store.erase(username, lambda receipt: make_tombstone(receipt, self.signer, name, now), event)
        return held

    # assignments and released files

    @property
    def planning(self) -> RuleEditor:
        """The rules of assignments, and changing them."""
        return RuleEditor(self.store, self.clock, self.max_upload)

    def assignments(
        self, actor: Actor, own: Sequence[Extension] | None = None, listed: tuple[Assignment, ...] | None = None
    ) -> tuple[Assignment, ...]:
        """Every assignment that the actor may see: students see none before it opens, and their own times.

        `own` are the actor's extensions, if `own_extensions` has read them already, `listed` what the store lists.
        """
        listed = self.store.assignments() if listed is None else listed
        if actor.is_instructor:
            return listed
        own = self.own_extensions(actor) if own is None else own
        given, now = {each.assignment: each.until for each in own}, self.clock()
        return tuple(
            each.extended(given[each.name]) if each.name in given else each for each in listed if _is_open(each, now)
        )

    def own_extensions(self, actor: Actor) -> tuple[Extension, ...]:
        """All in which one student's list of assignments differs from another's; an instructor's list has none."""
        return () if actor.is_instructor else tuple(self.store.extensions(username=actor.username))

    def assignments_for_students(self) -> tuple[Assignment, ...]:
        now = self.clock()
        return tuple(each for each in self.store.assignments() if _is_open(each, now))

    def assignment(self, actor: Actor, text: str) -> Assignment:
        """The assignment of this name or id. Raises NotFound, also for one that the actor may not see yet."""
        found = self.store.find_assignment(text)
        if found is None or not (actor.is_instructor or _is_open(found, self.clock())):
            raise NotFound(f"there is no assignment {printable(text)!r}")
        return found

    def release_file(self, actor: Actor, assignment: str, file: str) -> StoredFile:
        """A file to work on. Raises NotFound."""
        name = FileName.parse(file)
        folder = self._folder_of(actor, assignment, name)
        found = self.store.release_file(folder, name) if folder else None
        if found is None:
            raise NotFound(f"there is no file {printable(file)!r} in {printable(assignment)!r}")
        return found

    def note_downloads(self, downloads: Iterable[Download]) -> None:
        """Keep who has fetched something of which assignment; the first time stays."""
        notes = []
        for each in downloads:
            try:
                name = self.assignment(each.actor, each.assignment).name
            except NotFound:  # the manifest lists another folder's files for an assignment
                url = release_file_url(each.assignment, each.file)
                listing = self.assignments(each.actor)
                name = next(entry.name for entry in listing if any(file.url == url for file in entry.files))
            notes.append(Fetched(name, each.actor.username, each.moment))
        self.store.note_fetched(notes)

    def _folder_of(self, actor: Actor, text: str, file: FileName) -> AssignmentName | None:
        """The folder that a released file's URL names: an assignment's, or one that a manifest's URLs point into."""
        try:
            return self.assignment(actor, text).name
        except NotFound:
            pass
        url = release_file_url(text, file)
        listed = any(each.url == url for entry in self.assignments(actor) for each in entry.files)
        return AssignmentName.parse(text) if listed else None

    # submissions

    def submitted_file(self, assignment: Assignment, file: str) -> StoredFile:
        """Raises NotFound."""
        found = self.store.submitted_file(assignment.name, FileName.parse(file))
        if found is None:
            raise NotFound(f"there is no submission {printable(file)!r} in {assignment.name!r}")
        return found

    def history(self, assignment: Assignment, user: Username) -> Iterator[Receipt]:
        """Every receipt of a person for an assignment, in the order of acceptance."""
        return self.store.receipts(assignment.name, user)

    def receipts(self, user: Username) -> Iterator[Receipt]:
        """Every receipt of a person, in the order of acceptance."""
        return self.store.receipts(None, user)

    def version(self, assignment: Assignment, user: Username, file: str) -> StoredFile:
        """One of a person's own submissions, by the file name in its receipt, or the latest. Raises NotFound."""
        own = {latest_filename(user), *(each.submission.filename for each in self.history(assignment, user))}
        if file not in own:
            raise NotFound(f"{user!r} has no submission {printable(file)!r} in {assignment.name!r}")
        return self.submitted_file(assignment, file)

    def head(self) -> Head:
        """The end of the chain of receipts: whoever keeps it can tell later whether the chain was cut or rewritten."""
        return self.store.head()

    # grades and feedback

    def upload_grades(self, actor: Actor, assignment: Assignment, document: object) -> Uploaded:
        """Merge grades. Raises BadRequest, then nothing changed."""
        entries = grades.parse_upload(document)
        said = counted(sum(each.says_something for each in entries), "grade")
        event = Event(self.clock(), actor.username, "grades", assignment.name, said)
        stored = self.store.merge_grades(assignment.name, entries, event)
        unknown: set[str] = set()
        with contextlib.suppress(Temporary):  # the grades are kept, and who has handed in cannot be said now
            unknown = {each.username for each in entries} - self._people()
        return Uploaded(stored, len(entries), tuple(sorted(unknown)))

    def _people(self) -> set[str]:
        """Everybody who has registered or handed in."""
        handed_in = {user for each in self.store.assignments() for user in self.store.handed_in(each.name)}
        return {each.username for each in self.store.accounts() if not each.removed} | handed_in

    def grades(self, assignment: Assignment) -> tuple[GradeEntry, ...]:
        """Everybody's grades as they are stored, those that students do not see yet included."""
        return self.store.grades(assignment.name)

    def standing(self, assignment: Assignment, user: Username) -> Standing:
        """Where a person stands, from the files as they are now."""
        table = board.readable_grades(self.store, assignment.name)
        entry = grades.of_person(table or (), user)
        plan = self.plan
        extension = self.extensions.of(assignment, user)
        schedule = self._schedule(assignment, extension)
        kept = counting.assess(self.history(assignment, user), schedule.due, plan)
        return Standing(
            submitted=self.store.submitted_file(assignment.name, FileName(latest_filename(user))) is not None,
            grade=entry if entry is not None and entry.visible else None,
            feedback_available=self.store.feedback(assignment.name, user) is not None,
            schedule=schedule,
            extension=extension,
            kept=kept,
            counting=counting.counting(kept, plan.counts),
            rule=plan.counts,
            fetched=any(each.assignment == assignment.name for each in self.store.fetched(user)),
            grades_broken=table is None,
        )

    def submissions_version(
        self, assignment: Assignment, files: tuple[LatestFile, ...] | None = None
    ) -> tuple[object, ...]:
        """What `submissions` are made of: equal to an earlier one only if they are, too. Quick, as every poll asks.

        `files` are the store's latest files, if they have been looked for already.
        """
        # The ledger first: what changes while the rest is looked at then shows as a change the next time.
        mark = self.store.mark()
        return (mark, assignment, self.plan, self.store.latest_files(assignment.name) if files is None else files)

    def standings_version(self, assignment: Assignment) -> tuple[object, ...]:
        """As `submissions_version`, what everybody's `standing` is made of."""
        return (self.store.mark(assignment.name), assignment, self.plan)

    def board(self) -> Board:
        """Everybody by everything, as an instructor sees it."""
        return read_board(self.store)

    def rush(self) -> tuple[int, ...]:
        """How many submissions came in each of the last 60 minutes, the oldest first."""
        now = self.clock()
        counts = [0] * 60
        for moment in self.store.received_since(now - 60 * deadlines.MINUTE):
            ago = (now - moment) // deadlines.MINUTE
            if 0 <= ago < 60:
                counts[59 - ago] += 1
        return tuple(counts)

    def free_space(self) -> int | None:
        """Bytes that are free for submissions; None where nobody can tell."""
        return self.store.free_space()

    def board_version(self) -> tuple[object, ...]:
        """What `board` is made of, as `submissions_version` has it for `submissions`."""
        store, listed = self.store, self.store.assignments()
        files = [(store.handed_in(each.name), board.readable_grades(store, each.name)) for each in listed]
        return (store.mark(), listed, self.plan, files)

    def upload_feedback(self, actor: Actor, assignment: Assignment, pages: dict[Username, bytes]) -> None:
        event = Event(self.clock(), actor.username, "feedback", assignment.name, counted(len(pages), "page"))
        self.store.put_feedback(assignment.name, pages, event)

    def feedback(self, assignment: Assignment, user: Username) -> StoredFile:
        """Raises NotFound."""
        found = self.store.feedback(assignment.name, user)
        if found is None:
            raise NotFound(f"there is no feedback for {user!r} in {assignment.name!r}")
        return found


def _actor(username: Username, account: Account | None) -> Actor:
    if username == INSTRUCTOR:
        return COURSE_INSTRUCTOR
    return Actor(username, account.role if account else Role.STUDENT)


def _check_same_name(held: Account | None, username: Username) -> None:
    if held is not None and held.username != username:
        raise NameTaken(f"{username!r} differs from the account {held.username!r} by case alone")


def release_file_url(assignment: str, file: str) -> str:
    """How a manifest may name a file of a folder of the course."""
    return f"/assignments/{assignment}/files/{file}"


def _is_open(assignment: Assignment, now: int) -> bool:
    opens = assignment.rules.schedule.opens
    return opens is None or now >= opens


def same_text(left: str, right: str) -> bool:
    """Equality that takes the same time wherever the texts differ."""
    return hmac.compare_digest(left.encode(), right.encode())


def hash_code(code: str) -> str:
    """What is kept of a personal code. A plain hash suffices: the codes are random, not chosen by people."""
    return hashlib.sha256(code.encode()).hexdigest()
