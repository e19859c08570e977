"""Queries whose SQL is made once and then only given its values.

Most of what a short query costs the web process is writing its SQL, which is the same every time.
A function that builds a queryset becomes a `Prepared` by a decorator; it is called with values of
the kinds it names and answers with a list. What it asks, and the models it answers with, are the
queryset's own. Nothing but the SQL is remembered.

    @prepared(int)
    def _people(pk: int) -> QuerySet[User]:
        return User.objects.filter(pk=pk)

    [person] = _people(7)

A list of values is named by a list, ``[int]``; the SQL is made once for each length.

Values must reach the database as they are: an argument may be compared with a column, nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model, QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.models.utils import create_namedtuple_class
from django.db.transaction import TransactionManagementError

Build = Callable[..., QuerySet[Any, Any]]
Kind = type | list[type]
BuildUpdate = Callable[..., tuple[QuerySet[Any, Any], dict[str, Any]]]


def prepared(*kinds: Kind) -> Callable[[Build], "Prepared"]:
    """Make a function that returns a queryset a prepared query; ``kinds`` are int, str or datetime, or
    lists of one of them."""
    return lambda build: Prepared(build, kinds)


class Prepared:
    """A query with places for values."""

    def __init__(self, build: Build, kinds: Sequence[Kind]) -> None:
        self._build = build
        self._kinds = kinds
        self._lists = [place for place, kind in enumerate(kinds) if isinstance(kind, list)]

    def __call__(self, *values: Any) -> list[Any]:
        lengths = tuple(len(values[place]) for place in self._lists)
        statement: _Statement = _kept((self, lengths), lambda: self._compiled(lengths))
        if statement.locks and connection.get_autocommit():
            raise TransactionManagementError("A row lock needs a transaction around it.")
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.with_values(self._one_by_one(values)))
            return statement.answers(cursor.fetchall())

    def first(self, *values: Any) -> Any | None:
        """Return the first answer. The queryset should ask for no more than one."""
        return next(iter(self(*values)), None)

    def _compiled(self, lengths: Sequence[int]) -> "_Statement":
        marks = _marks(self._kinds, lengths)
        queryset = self._build(*marks)
        compiler: Any = queryset.query.get_compiler(connection=connection)
        sql, params = _marked(compiler, self._one_by_one(marks), self._build.__name__)
        locks = queryset.query.select_for_update and connection.features.has_select_for_update
        return _Statement(sql, params, bool(locks), _reader(queryset, compiler))

    def _one_by_one(self, values: Sequence[Any]) -> Sequence[Any]:
        if not self._lists:
            return values
        lists = [value if place in self._lists else [value] for place, value in enumerate(values)]
        return [each for some in lists for each in some]


def prepared_update(*kinds: type) -> Callable[[BuildUpdate], "PreparedUpdate"]:
    """The same for an update: the function returns a queryset and the values to set in it."""
    return lambda build: PreparedUpdate(build, kinds)


class PreparedUpdate:
    """An update with places for values, which may also be None where they are set."""

    def __init__(self, build: BuildUpdate, kinds: Sequence[type]) -> None:
        self._build = build
        self._kinds = kinds

    def __call__(self, *values: Any) -> int:
        """Return how many rows were changed."""
        statement = _kept(self, self._compiled)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.with_values(values))
            changed: int = cursor.rowcount
            return changed

    def _compiled(self) -> "_Statement":
        marks = [_mark(kind, number) for number, kind in enumerate(self._kinds)]
        queryset, changes = self._build(*marks)
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(changes)
        sql, params = _marked(
            query.get_compiler(connection=connection), marks, self._build.__name__
        )
        return _Statement(sql, params, locks=False, answers=list)


def leave_related(parents: Iterable[Model], name: str, children: Iterable[Model]) -> None:
    """Leave rows that were read on those they belong to, as ``prefetch_related`` does: ``parent.name.all()``
    asks for nothing then."""
    found = list(parents)
    if not found:
        return
    relation: Any = found[0]._meta.get_field(name)
    by_parent: dict[Any, list[Model]] = {each.pk: [] for each in found}
    for child in children:
        by_parent[getattr(child, relation.field.attname)].append(child)
    for parent in found:
        mine: Any = relation.related_model._default_manager.all()
        mine._result_cache, mine._prefetch_done = by_parent[parent.pk], True
        for child in by_parent[parent.pk]:
            relation.field.set_cached_value(child, parent)
        vars(parent).setdefault("_prefetched_objects_cache", {})[name] = mine


def insert(row: Model) -> None:
    """Store a new row with SQL that was made once for its model, and give it its number.

    As ``save(force_insert=True)``, for models whose saving nobody listens to.
    """
    fields = [each for each in row._meta.local_concrete_fields if not each.primary_key]
    if row.pk is not None or not connection.features.can_return_columns_from_insert:
        row.save(force_insert=True)
        return
    values = [each.get_db_prep_save(each.pre_save(row, add=True), connection) for each in fields]
    with connection.cursor() as cursor:
        cursor.execute(_kept(type(row), lambda: _insertion(row, fields)).sql, values)
        row.pk = cursor.fetchone()[0]
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS


def _insertion(row: Model, fields: Sequence[Any]) -> "_Statement":
    query: Any = InsertQuery(type(row))
    query.insert_values(fields, [row])
    compiler = query.get_compiler(connection=connection)
    compiler.returning_fields = [row._meta.pk]
    [(sql, params)] = compiler.as_sql()
    return _Statement(sql, list(params), locks=False, answers=list)


def _kept(owner: object, make: Callable[[], "_Statement"]) -> "_Statement":
    """SQL belongs to a connection, which belongs to a thread: each has its own."""
    kept = connections[DEFAULT_DB_ALIAS].__dict__.setdefault("_prepared_statements", {})
    if owner not in kept:
        kept[owner] = make()
    statement: _Statement = kept[owner]
    return statement


def _marked(compiler: Any, marks: Sequence[Any], name: str) -> tuple[str, list[Any]]:
    """Return the SQL, and its parameters with places where the marks stood."""
    sql, params = compiler.as_sql()
    places = {_adapted(mark): _Place(number) for number, mark in enumerate(marks)}
    marked = [places.get(each, each) if each.__hash__ else each for each in params]
    if set(places.values()) - {each for each in marked if isinstance(each, _Place)}:
        raise TypeError(f"{name} does not hand on every value as it is.")
    return sql, marked


@dataclass(frozen=True)
class _Place:
    number: int


@dataclass(frozen=True)
class _Statement:
    sql: str
    params: list[Any]
    locks: bool
    answers: Callable[[list[Any]], list[Any]]

    def with_values(self, values: Sequence[Any]) -> list[Any]:
        adapted = [_adapted(value) for value in values]
        return [adapted[each.number] if isinstance(each, _Place) else each for each in self.params]


def _reader(queryset: Any, compiler: Any) -> Callable[[list[Any]], list[Any]]:
    """Return what makes the queryset's answers of the database's rows."""
    converters = compiler.get_converters([each[0] for each in compiler.select])

    def converted(rows: list[Any]) -> Any:
        return compiler.apply_converters(rows, converters) if converters else rows

    kind = queryset._iterable_class
    if kind is FlatValuesListIterable:
        return lambda rows: [row[0] for row in converted(rows)]
    if kind is ValuesListIterable:
        return lambda rows: [tuple(row) for row in converted(rows)]
    if kind is NamedValuesListIterable:
        named = create_namedtuple_class(*queryset._fields)
        return lambda rows: [tuple.__new__(named, row) for row in converted(rows)]
    if kind is not ModelIterable:
        raise TypeError(f"{kind.__name__} is not prepared for.")
    return lambda rows: list(_instances(converted(rows), compiler, queryset.db))


def _instances(rows: Any, compiler: Any, database: str) -> Iterator[Model]:
    """As `django.db.models.query.ModelIterable` does."""
    about = compiler.klass_info
    first, last = about["select_fields"][0], about["select_fields"][-1] + 1
    names = [each[0].target.attname for each in compiler.select[first:last]]
    populators = get_related_populators(about, compiler.select, database)  # type: ignore[call-arg]
    for row in rows:
        instance = about["model"].from_db(database, names, row[first:last])
        for populator in populators:
            populator.populate(row, instance)
        for name, position in compiler.annotation_col_map.items():
            setattr(instance, name, row[position])
        yield instance


def _marks(kinds: Sequence[Kind], lengths: Sequence[int]) -> list[Any]:
    """Return a mark for each value; for a list as many as it is long."""
    numbers, length = count(), iter(lengths)
    return [
        [_mark(kind[0], next(numbers)) for _ in range(next(length))]
        if isinstance(kind, list)
        else _mark(kind, next(numbers))
        for kind in kinds
    ]


def _mark(kind: type, number: int) -> Any:
    """Return a value of this kind that nobody else uses."""
    marks: dict[type, Any] = {
        int: 2_140_000_000 + number,  # fits every integer column
        str: f"\ue000 place {number}",
        datetime: datetime(1, 1, 2, tzinfo=UTC) + timedelta(microseconds=number),
    }
    return marks[kind]


def _adapted(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
