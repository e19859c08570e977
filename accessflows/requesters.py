"""Who can request through a flow: sets of conditions on a user, their groups and their email domain.

The conditions of one set are joined by "and", the sets by "or". They are
evaluated in two directions, each in one statement: the users who meet given
conditions (`users_meeting`), also of a draft, and the saved conditions that a given user meets
(`met_conditions`). tests/accessflows/flows/test_requesters.py compares the two.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull

from apono_portal.core.db.email_domain import EmailDomain

if TYPE_CHECKING:
    from apono_portal.users.models import User

USER, GROUP, EMAIL_DOMAIN = "user", "group", "email_domain"
IS, IS_NOT, STARTS_WITH, CONTAINS = "is", "is_not", "starts_with", "contains"
ATTRIBUTE_NAMES = {USER: "User", GROUP: "Group", EMAIL_DOMAIN: "Email domain"}
OPERATOR_NAMES = {IS: "is", IS_NOT: "is not", STARTS_WITH: "starts with", CONTAINS: "contains"}
# The operators of each attribute, with the lookup that compares a user with a value.
_EXACT = {IS: "__in", IS_NOT: "__in"}
_LOOKUPS = {
    USER: {operator: f"pk{lookup}" for operator, lookup in _EXACT.items()},
    GROUP: {operator: f"groups__id{lookup}" for operator, lookup in _EXACT.items()}
    | {STARTS_WITH: "groups__name__istartswith", CONTAINS: "groups__name__icontains"},
    EMAIL_DOMAIN: {operator: f"email_domain{lookup}" for operator, lookup in _EXACT.items()}
    | {CONTAINS: "email_domain__contains"},
}
_TEXT_KINDS = (
    (GROUP, STARTS_WITH),
    (GROUP, CONTAINS),
    (EMAIL_DOMAIN, IS),
    (EMAIL_DOMAIN, IS_NOT),
    (EMAIL_DOMAIN, CONTAINS),
)
OPERATORS = {attribute: tuple(lookups) for attribute, lookups in _LOOKUPS.items()}
NOBODY = Q(pk__in=[])


@dataclass(frozen=True)
class Condition:
    """A condition with its values: ids of users or groups, or text; None for a deleted group."""

    attribute: str
    operator: str
    values: tuple[int | str | None, ...]

    @property
    def column(self) -> str:
        """Return which column of `RequesterValue` holds the values."""
        return value_column(self.attribute, self.operator)


ConditionSet = tuple[Condition, ...]
Sets = tuple[ConditionSet, ...]


def value_column(attribute: str, operator: str) -> str:
    is_exact = operator in _EXACT
    return attribute if is_exact and attribute in {USER, GROUP} else "text"


def named(*, users: Iterable[int] = (), groups: Iterable[int] = ()) -> Sets:
    """Return the sets that name these users, or these groups, as requesters."""
    conditions = (
        Condition(USER, IS, tuple(sorted(users))),
        Condition(GROUP, IS, tuple(sorted(groups))),
    )
    return tuple((condition,) for condition in conditions if condition.values)


def values_of(sets: Iterable[ConditionSet], column: str) -> set[Any]:
    """Return all values of a kind: ``user`` or ``group`` ids, or ``text``."""
    conditions = (one for conditions in sets for one in conditions if one.column == column)
    return {value for one in conditions for value in one.values if value is not None}


def describe(conditions: Iterable[Condition], labels: Mapping[str, Mapping[Any, str]]) -> str:
    """Return a set of conditions in words. ``labels`` are those of users and groups by id."""
    return " and ".join(_describe(condition, labels) for condition in conditions)


def _describe(condition: Condition, labels: Mapping[str, Mapping[Any, str]]) -> str:
    known = labels.get(condition.column, {})
    deleted = f"a deleted {condition.attribute}"
    names = [
        str(value) if condition.column == "text" else known.get(value, deleted)
        for value in condition.values
    ]
    shown = " or ".join(sorted(names)) or deleted
    return f"{ATTRIBUTE_NAMES[condition.attribute]} {OPERATOR_NAMES[condition.operator]} {shown}"


def users_meeting(sets: Collection[ConditionSet]) -> "QuerySet[User]":
    """Return the active users who meet all conditions of at least one set.

    Each set is gathered by itself, so that the cost follows the users it matches, not all there are.
    """
    active: QuerySet[User] = get_user_model()._default_manager.filter(is_active=True)
    gathered = [
        _users().filter(*(_met(one, _ids) for one in conditions)).values("pk")
        for conditions in merged(sets)
    ]
    if not gathered:
        return active.none()
    return active.filter(pk__in=gathered[0].union(*gathered[1:]))


def meets_any(sets: Collection[ConditionSet]) -> Q:
    """Match users who meet all conditions of a set, looked up user by user, for a page of them.

    With EXISTS or IN, PostgreSQL would first gather all members of the groups.
    """
    matches = NOBODY
    for conditions in merged(sets):
        together = Q()
        for condition in conditions:
            together &= _met(condition, _own_id)
        matches |= together
    return matches


def met_conditions(
    conditions: QuerySet[Any], values: QuerySet[Any], user: int | str
) -> QuerySet[Any]:
    """Return those of saved conditions whose whole set a user meets.

    ``user`` is an id, or the column that holds it in the query around this one.
    """
    values = values.filter(condition=OuterRef("pk"))
    met = _met_exactly(values, user)
    for attribute, operator in _TEXT_KINDS:
        person = _users().filter(pk=_reference(user, depth=4))
        compares = _compares(attribute, operator, [OuterRef("text")])
        equal = Exists(values.exclude(text="").filter(Exists(person.filter(compares))))
        met |= Q(~equal if operator == IS_NOT else equal, attribute=attribute, operator=operator)
    set_of = {"flow": OuterRef("flow"), "set_number": OuterRef("set_number")}
    unmet = conditions.model._default_manager.filter(**set_of).exclude(met)
    return conditions.order_by().filter(~Exists(unmet.order_by()))


def _met_exactly(values: QuerySet[Any], user: int | str) -> Q:
    """Match conditions on users and groups by id.

    Starts from the groups of the user: a user has few, while a group may have a million members.
    """
    memberships = get_user_model().groups.through._default_manager
    own = memberships.filter(user=_reference(user, depth=4)).values("group")
    equal = Exists(values.filter(Q(user=_reference(user, depth=3)) | Q(group__in=own)))
    lost = Exists(values.filter(user=None, group=None))
    by_id = Q(attribute__in=[USER, GROUP])
    return by_id & (Q(equal, operator=IS) | Q(~equal, ~lost, operator=IS_NOT))


def merged(sets: Iterable[ConditionSet]) -> list[ConditionSet]:
    """Return equivalent sets, those of one "is" each put together."""
    exact: dict[str, dict[int | str, None]] = {}
    others: dict[ConditionSet, None] = {}
    for conditions in sets:
        if len(conditions) == 1 and conditions[0].operator == IS:
            known = (value for value in conditions[0].values if value is not None)
            exact.setdefault(conditions[0].attribute, {}).update(dict.fromkeys(known))
        elif conditions:
            others[conditions] = None
    return [
        (Condition(attribute, IS, tuple(values)),) for attribute, values in exact.items()
    ] + list(others)


def _users() -> "QuerySet[User]":
    users: QuerySet[User] = get_user_model()._default_manager.order_by()
    return users.alias(email_domain=EmailDomain("email"))


def _compares(attribute: str, operator: str, values: Sequence[Any]) -> Q:
    """Match users with an attribute that equals, begins with or contains one of the values."""
    lookup = _LOOKUPS[attribute][operator]
    if operator in _EXACT:
        return Q(**{lookup: list(values)})
    matches = NOBODY
    for value in values:
        matches |= Q(**{lookup: value})
    return matches


def _met(condition: Condition, match: Any) -> Q:
    if condition.operator == IS_NOT and None in condition.values:
        return NOBODY
    values = [value for value in condition.values if value not in (None, "")]
    compares: Q = match(_compares(condition.attribute, condition.operator, values))
    return ~compares if condition.operator == IS_NOT else compares


def _ids(compares: Q) -> Q:
    """As EXISTS, which both databases turn into a join, also where it is negated."""
    return Q(Exists(_users().filter(compares, pk=OuterRef("pk"))))


def _own_id(compares: Q) -> Q:
    own = _users().filter(compares, pk=OuterRef("pk"))
    return Q(IsNull(lhs=Subquery(own.values("pk")[:1]), rhs=False))


def _reference(user: int | str, *, depth: int) -> Any:
    reference: Any = user
    if isinstance(user, str):
        for _ in range(depth):
            reference = OuterRef(reference)
    return reference
