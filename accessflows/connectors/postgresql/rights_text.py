"""What a capability role may do in a database, in sentences that need no knowledge of PostgreSQL."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from psycopg import sql

from accessflows.connectors.postgresql.connection import broker_session
from accessflows.connectors.postgresql.discovery import LONGEST_LIST, rights_here
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
# In the order they are said. CONNECT and USAGE of a schema only lead to the rest.
_VERBS = {
    "SELECT": "read",
    "INSERT": "add rows to",
    "UPDATE": "change rows of",
    "DELETE": "delete rows from",
    "TRUNCATE": "empty",
    "REFERENCES": "refer to",
    "TRIGGER": "put triggers on",
    "MAINTAIN": "maintain",
    "EXECUTE": "run",
    "USAGE": "use",
    "CREATE": "create things in",
    "TEMPORARY": "make temporary tables in",
}
_SILENT = {("database", "CONNECT"), ("schema", "USAGE")}
_MOST_NAMES = 3


def describe_rights(
    target: Target, resource: str, permissions: Sequence[str]
) -> dict[str, list[str]]:
    """Sentences on each permission in one database, over one connection."""
    check_name(resource, "database")
    for permission in permissions:
        check_role_name(permission)
    with broker_session(target, database=resource) as session:
        totals = {(row["kind"], row["schema"]): row["total"] for row in session.rows(_TOTALS)}
        return {name: in_plain_words(rights_here(session, name), totals) for name in permissions}


def in_plain_words(rights: Sequence[Right], totals: Totals) -> list[str]:
    """The rights as sentences. ``totals`` says how many there are of a kind in a schema."""
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for right in rights:
        said = {each for each in right.privileges if (right.kind, each) not in _SILENT}
        if said:
            held[right.kind, right.name] |= said
    alike: dict[tuple[str, str, frozenset[str]], list[str]] = defaultdict(list)
    for (kind, name), privileges in held.items():
        alike[kind, _schema_of(kind, name), frozenset(privileges)].append(name)
    sentences = [
        f"{_verbs(privileges)} {_things(kind, schema, names, totals)}"
        for (kind, schema, privileges), names in alike.items()
    ]
    if len(rights) >= LONGEST_LIST:
        sentences.append(f"And more: only the first {LONGEST_LIST} rights are listed")
    return sentences or ["Connect, and nothing beyond what everybody may do there"]


def _verbs(privileges: Collection[str]) -> str:
    plain = {each.removesuffix(_GRANTABLE) for each in privileges}
    words = ["do anything, as its owner, with"] if "OWNER" in plain else []
    if plain >= _READ_AND_CHANGE:
        words.append("read and change")
        plain -= _READ_AND_CHANGE
    words += [verb for privilege, verb in _VERBS.items() if privilege in plain]
    words += sorted(each for each in plain if each not in _VERBS and each != "OWNER")
    if any(each.endswith(_GRANTABLE) for each in privileges):
        words.append("give others rights on")
    return _capitalised(_listed(words))


def _things(kind: str, schema: str, names: Sequence[str], totals: Totals) -> str:
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
    """The schema of a qualified name, quoted as it is there; none for a database or a schema."""
    if kind in {"database", "schema"}:
        return ""
    quoted = False
    for position, char in enumerate(name):
        quoted ^= char == '"'
        if char == "." and not quoted:
            return name[:position]
    return ""


def _short(names: Sequence[str]) -> list[str]:
    shown = sorted(names)[:_MOST_NAMES]
    more = len(names) - len(shown)
    return [*shown, f"{more} more"] if more else shown


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
