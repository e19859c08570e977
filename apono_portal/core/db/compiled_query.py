"""Queries whose SQL is compiled once. For the path of a code, and nothing else.

Most of what a short query costs the web process is writing its SQL, which is the same every time.

    _users = CompiledQuery(lambda pk: User.objects.filter(pk=pk), BigIntegerField())
    user = _users.first(7)
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Field, Model, QuerySet, Value
from django.db.models.query import get_related_populators
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=Model)


class Parameter(Value):
    """A place in the SQL that every call fills."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]


class CompiledQuery(Generic[M]):
    """A queryset of model instances, built once with a parameter for each of these fields.

    A parameter may be compared with a column, nothing else.
    """

    def __init__(self, build: Callable[..., QuerySet[M]], *fields: "Field[Any, Any]") -> None:
        self._build = build
        self._fields = fields
        self._sql = ""

    def __call__(self, *values: Any) -> list[M]:
        if not self._sql:
            self._compile()
        if self._locks and connection.get_autocommit():
            raise TransactionManagementError("A row lock needs a transaction around it.")
        adapted = [
            field.get_db_prep_value(value, connection)
            for field, value in zip(self._fields, values, strict=True)
        ]
        params = [adapted[p.value] if isinstance(p, Parameter) else p for p in self._params]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            rows = cursor.fetchall()
        if self._converters:
            rows = self._compiler.apply_converters(rows, self._converters)
        return [self._instance(row) for row in rows]

    def first(self, *values: Any) -> M | None:
        return next(iter(self(*values)), None)

    def _compile(self) -> None:
        places = [Parameter(n, output_field=field) for n, field in enumerate(self._fields)]
        query = self._build(*places).query
        self._compiler: Any = query.get_compiler(connection=connection)
        sql, self._params = self._compiler.as_sql()
        features = connection.features
        self._locks = query.select_for_update and features.has_select_for_update
        select, info = self._compiler.select, self._compiler.klass_info
        self._converters = self._compiler.get_converters([column for column, *_ in select])
        columns = info["select_fields"]
        self._columns = slice(columns[0], columns[-1] + 1)
        self._names = [column.target.attname for column, *_ in select[self._columns]]
        self._populators = get_related_populators(info, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
        self._model = info["model"]
        self._sql = sql

    def _instance(self, row: Any) -> M:
        """Return the instance of a row with related ones and annotations, as `ModelIterable` does."""
        instance: M = self._model.from_db(DEFAULT_DB_ALIAS, self._names, row[self._columns])
        for populator in self._populators:
            populator.populate(row, instance)
        for name, position in self._compiler.annotation_col_map.items():
            setattr(instance, name, row[position])
        return instance
