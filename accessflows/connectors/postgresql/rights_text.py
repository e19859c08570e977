"""The rights of a capability role in a database, in sentences that need no knowledge of PostgreSQL."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from psycopg import sql

from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.postgresql.discovery import MAX_ITEMS, rights_in_current_database
from accessflows.connectors.postgresql.names import check_name, check_role_name
from accessflows.connectors.protocol import Right, Target

Totals = dict[tuple[str, str], int]

_TOTALS = sql.SQL(
    "SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'"
    " WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,"
    " quote_ident(n.nspname) AS schema, count(*) AS total FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') GROUP BY 1, 2"
)
_GRANTABLE = " WITH GRANT OPTION"
_READ_AND_CHANGE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
# In the order of the sentence.
_VERBS = {
    "SELECT": "read",
    "INSERT": "add rows to",
    "UPDATE": "change rows of",
    "DELETE": "delete rows from",
    "TRUNCATE": "empty",
    "REFERENCES": "reference",
    "TRIGGER": "create triggers on",
    "MAINTAIN": "maintain",
    "EXECUTE": "run",
    "USAGE": "use",
    "CREATE": "create objects in",
    "TEMPORARY": "create temporary tables in",
}
# Rights that only lead to others.
_OMITTED = {("database", "CONNECT"), ("schema", "USAGE")}
_MAX_NAMES = 3


def describe_rights(
    target: Target, resource: str, permissions: Sequence[str]
) -> dict[str, list[str]]:
    """Describe each permission in one database, over one connection."""
    check_name(resource, "database")
    for permission in permissions:
        check_role_name(permission)
    with connect_as_broker(target, database=resource) as connection:
        totals = {(row["kind"], row["schema"]): row["total"] for row in connection.rows(_TOTALS)}
        return {
            name: rights_sentences(rights_in_current_database(connection, name), totals)
            for name in permissions
        }


def rights_sentences(rights: Sequence[Right], totals: Totals) -> list[str]:
    """Return the rights as sentences. ``totals`` is the number of objects of a kind in a schema."""
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for right in rights:
        shown = {one for one in right.privileges if (right.kind, one) not in _OMITTED}
        if shown:
            held[right.kind, right.name] |= shown
    groups: dict[tuple[str, str, frozenset[str]], list[str]] = defaultdict(list)
    for (kind, name), privileges in held.items():
        groups[kind, _schema_of(kind, name), frozenset(privileges)].append(name)
    sentences = [
        f"{_verbs(privileges)} {_objects(kind, schema, names, totals)}"
        for (kind, schema, privileges), names in groups.items()
    ]
    if len(rights) >= MAX_ITEMS:
        sentences.append(f"Only the first {MAX_ITEMS} rights are listed")
    return sentences or ["Connect only, with no rights beyond those every role has"]


def _verbs(privileges: Collection[str]) -> str:
    plain = {privilege.removesuffix(_GRANTABLE) for privilege in privileges}
    words = ["do anything, as the owner, with"] if "OWNER" in plain else []
    if plain >= _READ_AND_CHANGE:
        words.append("read and change")
        plain -= _READ_AND_CHANGE
    words += [verb for privilege, verb in _VERBS.items() if privilege in plain]
    words += sorted(other for other in plain if other not in _VERBS and other != "OWNER")
    if any(privilege.endswith(_GRANTABLE) for privilege in privileges):
        words.append("grant others rights on")
    text = _listed(words)
    return text[:1].upper() + text[1:]


def _objects(kind: str, schema: str, names: Sequence[str], totals: Totals) -> str:
    if not schema:
        return f"{kind} {names[0]}" if len(names) == 1 else f"{kind}s {_listed(_short(names))}"
    total = totals.get((kind, schema), 0)
    if len(names) == total:
        return f"every {kind} in schema {schema}"
    if len(names) == 1:
        return f"{kind} {names[0]}"
    of_all = f" of {total}" if total else ""
    return f"{len(names)}{of_all} {kind}s in schema {schema}: {_listed(_short(names))}"


def _schema_of(kind: str, name: str) -> str:
    """Return the schema of a qualified name, quoted as in the name; none for a database or schema."""
    if kind in {"database", "schema"}:
        return ""
    quoted = False
    for position, char in enumerate(name):
        quoted ^= char == '"'
        if char == "." and not quoted:
            return name[:position]
    return ""


def _short(names: Sequence[str]) -> list[str]:
    shown = sorted(names)[:_MAX_NAMES]
    more = len(names) - len(shown)
    return [*shown, f"{more} more"] if more else shown


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
