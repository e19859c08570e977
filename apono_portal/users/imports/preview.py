"""What an import would do, row by row, and the signed preview that is applied as it was shown."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

from django.contrib.auth.models import Group
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Prefetch

from apono_portal.core.web.seen_state import digest_of
from apono_portal.sso.models import SignInDomain
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import NewUserForm
from apono_portal.users.imports.csv_file import ImportRow
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import Role, User
from apono_portal.users.ownership import directory_of, directory_of_group
from apono_portal.users.services.users import user_digest

SALT = "users.import"
LIFETIME = timedelta(hours=1)
EXPIRED = "This preview has expired. Choose the file again."
ROLES = {str(Role.MEMBER): Role.MEMBER, str(Role.AUDITOR): Role.AUDITOR}


class Action(StrEnum):
    """What happens to a row."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    REFUSE = "refuse"

    @property
    def label(self) -> str:
        return {"create": "Added", "change": "Changed", "keep": "Unchanged", "refuse": "Refused"}[
            self
        ]


class RowRefused(Exception):
    """A row that is left out, and why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class PlannedRow:
    """A row, what happens to it, and what that means. ``seen`` is the digest of the user as planned."""

    number: int
    email: str
    action: Action
    details: tuple[str, ...]
    name: str = ""
    role: str = ""
    group_ids: tuple[int, ...] = ()
    user_id: int | None = None
    seen: str = ""
    gets_link: bool = False


@dataclass(frozen=True)
class ImportPlan:
    """All rows of an import, as they would be applied now."""

    rows: tuple[PlannedRow, ...]

    def of(self, action: Action) -> list[PlannedRow]:
        return [row for row in self.rows if row.action is action]

    @property
    def counts(self) -> dict[str, int]:
        return {action.value: len(self.of(action)) for action in Action}

    @property
    def number(self) -> int:
        """Return how many users are added or changed."""
        return len(self.of(Action.CREATE)) + len(self.of(Action.CHANGE))

    @property
    def digest(self) -> str:
        return digest_of({"rows": [asdict(row) for row in self.rows]})


def sign_preview(rows: Iterable[ImportRow], plan: ImportPlan, *, admin: User) -> str:
    """Return the rows and the digest of what was shown of them, signed for one admin."""
    content = {"rows": [asdict(row) for row in rows], "plan": plan.digest, "admin": admin.pk}
    return signing.dumps(content, salt=SALT, compress=True)


def open_preview(text: str, *, admin: User) -> tuple[list[ImportRow], str]:
    """Return the rows of a signed preview and the digest of their plan. Raises `UserError`."""
    try:
        content = signing.loads(text, salt=SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise UserError(EXPIRED) from None
    if content["admin"] != admin.pk:
        raise UserError(EXPIRED)
    rows = [ImportRow(**{**row, "groups": tuple(row["groups"])}) for row in content["rows"]]
    return rows, content["plan"]


def plan_import(rows: Collection[ImportRow]) -> ImportPlan:
    """Return what an import of the rows would do now, in a number of statements that no row adds to."""
    return _Planner(rows).plan()


class _Planner:
    """Compares rows with the users, groups and sign-in domains that exist."""

    def __init__(self, rows: Collection[ImportRow]) -> None:
        self.rows = rows
        emails = {normalise_email(row.email) for row in rows}
        groups = Prefetch("groups", Group.objects.select_related("scim_group__directory"))
        users = User.objects.filter(email__in=emails).select_related("scim_user__directory")
        self.users = {user.email: user for user in users.prefetch_related(groups)}
        names = {name for row in rows for name in row.groups}
        self.groups: Mapping[str, Group] = {
            group.name: group
            for group in Group.objects.filter(name__in=names).select_related(
                "scim_group__directory"
            )
        }
        enforced = SignInDomain.objects.filter(is_enforced=True, provider__is_active=True)
        self.providers = {
            row.domain: str(row.provider) for row in enforced.select_related("provider")
        }
        self.numbers: dict[str, int] = {}

    def plan(self) -> ImportPlan:
        return ImportPlan(tuple(self._plan(row) for row in self.rows))

    def _plan(self, row: ImportRow) -> PlannedRow:
        try:
            email = self._email_of(row)
            user = self.users.get(email)
            return self._creation(row, email) if user is None else self._change(row, user)
        except RowRefused as refused:
            return PlannedRow(row.number, row.email, Action.REFUSE, (refused.sentence,))

    def _email_of(self, row: ImportRow) -> str:
        if row.problem:
            raise RowRefused(row.problem)
        email = normalise_email(_clean("email", row.email, "Enter a valid email address."))
        first = self.numbers.setdefault(email, row.number)
        if first != row.number:
            raise RowRefused(f"Row {first} has the same email.")
        return email

    def _creation(self, row: ImportRow, email: str) -> PlannedRow:
        name = _clean("name", row.name, "A new user needs a name of up to 64 visible characters.")
        role = _role_of(row) or Role.MEMBER
        groups = self._groups_of(row, already=())
        provider = self.providers.get(email.rpartition("@")[2], "")
        link = (
            f"Signs in with {provider}, without a password" if provider else "Gets a password link"
        )
        return PlannedRow(
            row.number,
            email,
            Action.CREATE,
            (role.label, *_joins(groups), link),
            name=name,
            role=role,
            group_ids=tuple(group.pk for group in groups),
            gets_link=not provider,
        )

    def _change(self, row: ImportRow, user: User) -> PlannedRow:
        if not user.is_active:
            raise RowRefused("This user is deactivated. Reactivate the user first.")
        name, role = _new_name(row, user), _new_role(row, user)
        own = list(user.groups.all())
        joined = self._groups_of(row, already=own)
        details = [f"Name: {user.name} → {name}"] if name != user.name else []
        if role != user.role:
            details.append(f"Role: {Role(user.role).label} → {Role(role).label}")
        details += _joins(joined)
        return PlannedRow(
            row.number,
            user.email,
            Action.CHANGE if details else Action.KEEP,
            tuple(details),
            name=name,
            role=role,
            group_ids=tuple(group.pk for group in (*own, *joined)),
            user_id=user.pk,
            seen=user_digest(user),
        )

    def _groups_of(self, row: ImportRow, *, already: Collection[Group]) -> list[Group]:
        """Return the groups that a user joins: those in the row that exist and are local."""
        joined = []
        for name in row.groups:
            group = self.groups.get(name)
            if group is None:
                raise RowRefused(f"There is no group “{name[:80]}”. Add it first.")
            if group in already:
                continue
            if directory := directory_of_group(group):
                raise RowRefused(f"{directory} manages the group {name}. Add the user there.")
            joined.append(group)
        return joined


def _clean(field: str, value: str, sentence: str) -> str:
    """Return a value as the form "Add user" accepts it."""
    try:
        return str(NewUserForm.base_fields[field].clean(value))
    except ValidationError:
        raise RowRefused(sentence) from None


def _role_of(row: ImportRow) -> Role | None:
    """Return the role in a row, None if it has none. Admins are not made by a file."""
    if not row.role:
        return None
    if row.role == Role.ADMIN:
        raise RowRefused("Add admins one by one on the page Users.")
    if row.role not in ROLES:
        raise RowRefused(f"Unknown role “{row.role[:30]}”. Use member or auditor.")
    return ROLES[row.role]


def _new_name(row: ImportRow, user: User) -> str:
    if not row.name or row.name == user.name:
        return user.name
    if directory := directory_of(user):
        raise RowRefused(f"{directory} manages this name. Change it there.")
    return _clean("name", row.name, "A name has up to 64 visible characters.")


def _new_role(row: ImportRow, user: User) -> str:
    if not row.role or row.role == user.role:
        return user.role
    role = _role_of(row)
    if user.role == Role.ADMIN:
        raise RowRefused("This is an admin. Change the role on the page of the user.")
    return role or user.role


def _joins(groups: Collection[Group]) -> list[str]:
    return [f"Joins {', '.join(group.name for group in groups)}"] if groups else []
