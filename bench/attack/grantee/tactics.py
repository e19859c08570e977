"""The tactics, in SQL. `bench.attack.grantee.attempts` runs them before the end of their grant.

Statements name {login}, {password} and {capability} of the grant, {accomplice}, who has an account of
their own and no right on the data, {tag}, with which everything a tactic creates begins, and {port}.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.attack.grantee import connections

if TYPE_CHECKING:
    from bench.attack.grantee.attempts import Attempt

READ, BUILD = "orders_read", "orders_build"
DATA = "SELECT name FROM sales.customers"
ACCOMPLICE = "accomplice: "  # begins a statement of the accomplice's session
VERSIONS = frozenset({15, 16, 17, 18})
OLD, NEW = frozenset({15}), frozenset({16, 17, 18})
NEVER: frozenset[int] = frozenset()
CHANGED_PASSWORD = "changed-by-the-grantee"


@dataclass(frozen=True)
class Tactic:
    """What a grantee does.

    The session stays open after ``sql``, whose last statement the server refuses on the versions
    ``refused``. With ``runs`` it goes on running; with ``repeats`` everything is done again and again in
    new sessions, past the end too. ``reads`` is how the accomplice reads data past the end.
    ``act`` is what SQL cannot do. With ``copies``, new data is copied until cleaning up. With ``delays``,
    cleaning up waits for the accomplice; with ``stays``, for a superuser.
    """

    name: str
    sql: tuple[str, ...] = ()
    capability: str = READ
    refused: frozenset[int] = NEVER
    versions: frozenset[int] = VERSIONS
    runs: bool = False
    repeats: bool = False
    reads: str = ""
    act: "Callable[[Attempt], None] | None" = None
    copies: bool = False
    delays: bool = False
    stays: bool = False


def _refused(name: str, *sql: str, capability: str = BUILD) -> Tactic:
    """Return a tactic that the server refuses on every version."""
    return Tactic(name, sql, capability, VERSIONS)


_TABLE = f"CREATE TABLE sales.{{tag}}_copy AS {DATA}"
_READ_COPY = "SELECT name FROM sales.{tag}_copy"
_FUNCTION = f"CREATE FUNCTION sales.{{tag}}_read() RETURNS SETOF text SECURITY DEFINER LANGUAGE sql AS '{DATA}'"
_CALL = "SELECT sales.{tag}_read()"
_TRIGGER = (
    "CREATE TABLE sales.{tag}_copy (name text)",
    "GRANT SELECT ON sales.{tag}_copy TO PUBLIC",
    """CREATE FUNCTION sales.{tag}_spy() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
        'BEGIN INSERT INTO sales.{tag}_copy VALUES (NEW.name); RETURN NEW; END'""",
    """CREATE TRIGGER {tag}_spy BEFORE INSERT ON sales.customers FOR EACH ROW
        EXECUTE FUNCTION sales.{tag}_spy()""",
)
_ADDRESS = "host=127.0.0.1 port={port} dbname=orders user={login} password={password}"

# fmt: off
SESSIONS = (
    Tactic("an idle session"),
    Tactic("a statement that runs for an hour", ("SELECT pg_sleep(3600)",), runs=True),
    Tactic("a loop that catches its own cancellation",
           ("""DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1);
               EXCEPTION WHEN query_canceled OR OTHERS THEN NULL; END; END LOOP; END $$""",), runs=True),
    Tactic("a loop without a pause", ("DO $$ BEGIN LOOP END LOOP; END $$",), runs=True),
    Tactic("a cursor WITH HOLD", (f"DECLARE held CURSOR WITH HOLD FOR {DATA}", "FETCH 1 FROM held")),
    Tactic("a long transaction with a snapshot",
           ("BEGIN ISOLATION LEVEL REPEATABLE READ", DATA, "SAVEPOINT one")),
    Tactic("a temporary table and a prepared statement",
           (f"CREATE TEMPORARY TABLE mine AS {DATA}", f"PREPARE again AS {DATA}", "EXECUTE again"), BUILD),
    Tactic("LISTEN", ("LISTEN end_of_access",)),
    Tactic("timeouts of its own", ("ALTER ROLE {login} SET statement_timeout = 0",
           "ALTER ROLE {login} SET idle_session_timeout = 0", "ALTER ROLE {login} SET tcp_keepalives_idle = 1")),
    Tactic("a session under the portal's application name",
           ("SET application_name = 'apono-portal'", "ALTER ROLE {login} SET application_name = 'apono-portal'")),
    Tactic("reconnecting without a pause", (DATA,), repeats=True),
    Tactic("a client that stops reading", act=connections.stop_reading),
    Tactic("a sign-in that pauses halfway", act=connections.pause_sign_in),
    Tactic("sessions in two databases", act=connections.open_second_database),
    Tactic("a replication connection", act=connections.try_replication),
    Tactic("SET ROLE to the capability role", ("SET ROLE {capability}",), refused=NEW),
    Tactic("a chain of SET ROLE within a transaction",
           ("BEGIN", "SET LOCAL ROLE {login}", "SET LOCAL ROLE {capability}"), refused=NEW),
    Tactic("the capability role as a setting", ("ALTER ROLE {login} SET role = '{capability}'",), repeats=True),
    _refused("SET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION {capability}"),
    Tactic("a session behind the accomplice's dblink", (
        ACCOMPLICE + f"SELECT dblink_connect('{{tag}}', '{_ADDRESS}')",), versions=OLD,
        reads=f"SELECT * FROM dblink('{{tag}}', '{DATA}') AS rows(name text)"),
    Tactic("a foreign table with the login's password", (
        "CREATE SERVER {tag}_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname 'orders')",
        "CREATE USER MAPPING FOR PUBLIC SERVER {tag}_server OPTIONS (user '{login}', password '{password}')",
        "CREATE FOREIGN TABLE sales.{tag}_far (name text) SERVER {tag}_server OPTIONS (schema_name 'sales', table_name 'customers')",
        "GRANT SELECT ON sales.{tag}_far TO PUBLIC", ACCOMPLICE + "SELECT name FROM sales.{tag}_far"),
        BUILD, versions=OLD, reads="SELECT name FROM sales.{tag}_far", stays=True),
)
LOGIN = (
    Tactic("a password of its own", (f"ALTER ROLE {{login}} PASSWORD '{CHANGED_PASSWORD}'",)),
    Tactic("a password of its own, again and again",
           (f"ALTER ROLE {{login}} PASSWORD '{CHANGED_PASSWORD}'",), repeats=True),
    Tactic("an open transaction that locks its own role",
           ("BEGIN", f"ALTER ROLE {{login}} PASSWORD '{CHANGED_PASSWORD}'")),
    Tactic("a transaction that locks its own role, again and again",
           ("BEGIN", f"ALTER ROLE {{login}} PASSWORD '{CHANGED_PASSWORD}'", "SELECT pg_sleep(0.2)"), repeats=True),
    Tactic("a prepared transaction that locks its own role",
           ("BEGIN", f"ALTER ROLE {{login}} PASSWORD '{CHANGED_PASSWORD}'", "PREPARE TRANSACTION '{tag}'"), versions=NEW),
    Tactic("prepared transactions that lock data and objects",
           ("BEGIN", "CREATE TABLE sales.{tag}_held ()", "LOCK sales.orders IN ROW EXCLUSIVE MODE",
            "PREPARE TRANSACTION '{tag}'", "BEGIN", "CREATE TABLE sales.{tag}_more ()", "PREPARE TRANSACTION '{tag}2'"),
           BUILD, versions=NEW),
    _refused("a later VALID UNTIL", "ALTER ROLE {login} VALID UNTIL 'infinity'"),
    _refused("a higher CONNECTION LIMIT", "ALTER ROLE {login} CONNECTION LIMIT -1"),
    _refused("another name", "ALTER ROLE {login} RENAME TO {tag}"),
    _refused("the portal's marker removed", "COMMENT ON ROLE {login} IS NULL"),
    _refused("attributes of a superuser", "ALTER ROLE {login} SUPERUSER"),
    _refused("CREATEROLE", "ALTER ROLE {login} CREATEROLE"),
    _refused("a second login", "CREATE ROLE {tag}_second LOGIN PASSWORD 'x' IN ROLE {capability}"),
    _refused("session_replication_role", "SET session_replication_role = replica"),
    _refused("the login granted to an accomplice", "GRANT {login} TO {accomplice}"),
    _refused("an accomplice in a session as the login", ACCOMPLICE + "SET ROLE {login}"),
    _refused("the capability granted to an accomplice", "GRANT {capability} TO {accomplice}"),
    _refused("ADMIN OPTION for itself", "GRANT {capability} TO {login} WITH ADMIN OPTION"),
    _refused("the memberships of others revoked", "REVOKE {capability} FROM portal_broker"),
)
LOCKS = (
    Tactic("the portal's advisory locks", act=connections.take_advisory_locks, delays=True),
    Tactic("locks on the catalogs of roles and databases",
           ("BEGIN", "LOCK pg_auth_members, pg_database, pg_db_role_setting IN ACCESS SHARE MODE",
            "LOCK sales.orders IN ROW EXCLUSIVE MODE"), BUILD),
    _refused("stronger locks on the catalogs", "BEGIN", "LOCK pg_auth_members IN SHARE MODE"),
    Tactic("an accomplice who holds a lock on the login", (
        ACCOMPLICE + "CREATE TEMPORARY TABLE mine ()", ACCOMPLICE + "BEGIN",
        ACCOMPLICE + "GRANT SELECT ON mine TO {login}"), BUILD, delays=True),
    Tactic("an accomplice who holds a lock on what the login owns", (
        _TABLE, "GRANT SELECT ON sales.{tag}_copy TO {accomplice}", ACCOMPLICE + "BEGIN",
        ACCOMPLICE + _READ_COPY), BUILD, reads=_READ_COPY, delays=True),
    Tactic("an accomplice who gives the login a right", (
        ACCOMPLICE + "CREATE TABLE public.{tag}_gift ()", ACCOMPLICE + "GRANT SELECT ON public.{tag}_gift TO {login}"),
        BUILD, stays=True),
)
LEFTOVERS = (
    Tactic("SELECT for an accomplice", ("GRANT SELECT ON sales.customers TO {accomplice}",)),
    Tactic("a copy for everybody", (_TABLE, "GRANT SELECT ON sales.{tag}_copy TO PUBLIC"), BUILD, reads=_READ_COPY),
    Tactic("rights handed on by an accomplice", (
        _TABLE, "GRANT SELECT ON sales.{tag}_copy TO {accomplice} WITH GRANT OPTION",
        ACCOMPLICE + "GRANT SELECT ON sales.{tag}_copy TO PUBLIC"), BUILD, reads=_READ_COPY),
    Tactic("default privileges of the login", (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", _TABLE), BUILD, reads=_READ_COPY),
    Tactic("default privileges of the capability role", (
        "ALTER DEFAULT PRIVILEGES FOR ROLE {capability} GRANT SELECT ON TABLES TO {accomplice}",), BUILD),
    Tactic("a view for everybody", (f"CREATE VIEW sales.{{tag}}_view AS {DATA}",
           "GRANT SELECT ON sales.{tag}_view TO PUBLIC"), BUILD, reads="SELECT name FROM sales.{tag}_view"),
    Tactic("a view on a view", (f"CREATE VIEW sales.{{tag}}_inner AS {DATA}",
           "CREATE VIEW sales.{tag}_outer AS SELECT name FROM sales.{tag}_inner",
           "GRANT SELECT ON sales.{tag}_outer TO PUBLIC"), BUILD, reads="SELECT name FROM sales.{tag}_outer"),
    Tactic("a materialized view", (f"CREATE MATERIALIZED VIEW sales.{{tag}}_copy AS {DATA}",
           "GRANT SELECT ON sales.{tag}_copy TO PUBLIC"), BUILD, reads=_READ_COPY),
    Tactic("a SECURITY DEFINER function", (_FUNCTION,), BUILD, reads=_CALL),
    Tactic("a trigger that copies new rows", _TRIGGER, BUILD, reads=_READ_COPY, copies=True),
    Tactic("a trigger, and an accomplice who holds a lock on the copy", (
        *_TRIGGER, ACCOMPLICE + "BEGIN", ACCOMPLICE + _READ_COPY), BUILD, reads=_READ_COPY, copies=True, delays=True),
    Tactic("a trigger that copies new rows to the accomplice", (
        ACCOMPLICE + "CREATE TABLE public.{tag}_copy (name text)", ACCOMPLICE + "GRANT INSERT ON public.{tag}_copy TO PUBLIC",
        *(line.replace("sales.{tag}_copy", "public.{tag}_copy").replace("SECURITY DEFINER", "") for line in _TRIGGER[2:])),
        BUILD, reads="SELECT name FROM public.{tag}_copy", copies=True),
    Tactic("a view, and an accomplice who holds a lock on it", (
        f"CREATE VIEW sales.{{tag}}_view AS {DATA}", "GRANT SELECT ON sales.{tag}_view TO PUBLIC",
        ACCOMPLICE + "BEGIN", ACCOMPLICE + "SELECT name FROM sales.{tag}_view"),
        BUILD, reads="SELECT name FROM sales.{tag}_view", delays=True),
    Tactic("a rule", ("CREATE VIEW sales.{tag}_view AS SELECT 1 AS name", "CREATE TABLE sales.{tag}_copy (name text)",
           f"CREATE RULE {{tag}}_rule AS ON UPDATE TO sales.{{tag}}_view DO INSTEAD INSERT INTO sales.{{tag}}_copy {DATA}",
           "GRANT SELECT, UPDATE ON sales.{tag}_view TO PUBLIC", "GRANT SELECT ON sales.{tag}_copy TO PUBLIC",
           ACCOMPLICE + "UPDATE sales.{tag}_view SET name = 2"), BUILD, reads=_READ_COPY),
    Tactic("a row security policy", (_TABLE, "ALTER TABLE sales.{tag}_copy ENABLE ROW LEVEL SECURITY",
           "CREATE POLICY {tag} ON sales.{tag}_copy TO {accomplice}, {capability} USING (true)",
           "GRANT SELECT ON sales.{tag}_copy TO PUBLIC"), BUILD, reads=_READ_COPY),
    Tactic("a schema of its own", ("CREATE SCHEMA {tag} AUTHORIZATION {login}", "GRANT ALL ON SCHEMA {tag} TO PUBLIC",
           f"CREATE TABLE {{tag}}.copy AS {DATA}", "GRANT ALL ON ALL TABLES IN SCHEMA {tag} TO PUBLIC",
           ACCOMPLICE + "CREATE TABLE {tag}.other ()"), BUILD, reads="SELECT name FROM {tag}.copy"),
    Tactic("a schema of the capability role",
           ("CREATE SCHEMA {tag} AUTHORIZATION {capability}",), BUILD, NEW),
    Tactic("a function of the capability role",
           (_FUNCTION, "ALTER FUNCTION sales.{tag}_read() OWNER TO {capability}"), BUILD, NEW, reads=_CALL),
    Tactic("a view of the capability role", (f"CREATE VIEW sales.{{tag}}_view AS {DATA}",
           "GRANT SELECT ON sales.{tag}_view TO PUBLIC", "ALTER VIEW sales.{tag}_view OWNER TO {capability}"),
           BUILD, NEW, reads="SELECT name FROM sales.{tag}_view"),
    Tactic("a password for the capability role",
           ("SET ROLE {capability}", f"ALTER ROLE {{capability}} PASSWORD '{CHANGED_PASSWORD}'"), BUILD, versions=OLD),
    Tactic("settings of the capability role",
           ("SET ROLE {capability}", "ALTER ROLE {capability} SET search_path = sales"), BUILD, versions=OLD),
    Tactic("objects handed to an accomplice", (_TABLE, "ALTER TABLE sales.{tag}_copy OWNER TO {accomplice}"),
           BUILD, VERSIONS, reads=_READ_COPY),
    Tactic("everything handed to an accomplice", (_TABLE, "REASSIGN OWNED BY {login} TO {accomplice}"),
           BUILD, VERSIONS, reads=_READ_COPY),
    Tactic("thousands of large objects", (
        "SELECT lo_from_bytea(0, 'secret') FROM generate_series(1, 3000)",
        """DO $$ DECLARE o oid; BEGIN FOR o IN SELECT m.oid FROM pg_largeobject_metadata m JOIN pg_roles r
            ON r.oid = lomowner WHERE rolname = '{login}' LIMIT 300
            LOOP EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', o); END LOOP; END $$"""), BUILD),
    Tactic("types, casts, operators and aggregates", (
        "CREATE TYPE sales.{tag}_pair AS (a int, b int)", "CREATE DOMAIN sales.{tag}_domain AS text CHECK (VALUE <> '')",
        "CREATE TYPE sales.{tag}_kind AS ENUM ('a', 'b')",
        "CREATE FUNCTION sales.{tag}_f(sales.{tag}_pair, sales.{tag}_pair) RETURNS sales.{tag}_pair LANGUAGE sql AS 'SELECT $1'",
        "CREATE OPERATOR sales.## (LEFTARG = sales.{tag}_pair, RIGHTARG = sales.{tag}_pair, FUNCTION = sales.{tag}_f)",
        "CREATE AGGREGATE sales.{tag}_agg (sales.{tag}_pair) (SFUNC = sales.{tag}_f, STYPE = sales.{tag}_pair)",
        "CREATE CAST (sales.{tag}_kind AS text) WITH INOUT AS IMPLICIT"), BUILD),
    Tactic("sequences, statistics, dictionaries, collations", (
        "CREATE TABLE sales.{tag}_copy (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b int)",
        "CREATE INDEX ON sales.{tag}_copy ((a + b))", "CREATE STATISTICS sales.{tag}_stats ON a, b FROM sales.{tag}_copy",
        "CREATE SEQUENCE sales.{tag}_seq", "CREATE TEXT SEARCH CONFIGURATION sales.{tag}_search (COPY = simple)",
        "CREATE TEXT SEARCH DICTIONARY sales.{tag}_words (TEMPLATE = simple)",
        "CREATE COLLATION sales.{tag}_order FROM \"C\"",
        "CREATE CONVERSION sales.{tag}_conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"), BUILD),
    Tactic("names that need quoting", (
        "CREATE TABLE sales.\"{tag} \"\"; DROP\" (\"a'b\" text)", "GRANT SELECT ON sales.\"{tag} \"\"; DROP\" TO PUBLIC",
        "CREATE FUNCTION sales.\"{tag} $$'\"(text, int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'"), BUILD),
    Tactic("a publication", ("CREATE TABLE sales.{tag}_copy (name text)",
           "CREATE PUBLICATION {tag} FOR TABLE sales.{tag}_copy"), BUILD),
    Tactic("a trusted extension", act=connections.create_trusted_extension, capability=BUILD),
    _refused("a subscription", "CREATE SUBSCRIPTION {tag} CONNECTION 'dbname=orders' PUBLICATION x WITH (connect = false)"),
    _refused("an event trigger", "CREATE FUNCTION sales.{tag}_e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
             "CREATE EVENT TRIGGER {tag} ON ddl_command_end EXECUTE FUNCTION sales.{tag}_e()"),
    _refused("COPY FROM PROGRAM", "CREATE TABLE sales.{tag}_copy (name text)", "COPY sales.{tag}_copy FROM PROGRAM 'id'"),
    _refused("reading the server's files", "SELECT pg_read_file('postgresql.auto.conf')"),
    _refused("a library or background worker", "LOAD '$libdir/dblink'"),
    _refused("a function in C", "CREATE FUNCTION sales.{tag}_c() RETURNS int LANGUAGE c AS '$libdir/x', 'y'"),
    _refused("ALTER SYSTEM", "ALTER SYSTEM SET log_statement = 'all'"),
    _refused("settings of the database", "ALTER DATABASE orders SET role = '{capability}'"),
    _refused("verifiers of other roles", "SELECT rolpassword FROM pg_authid"),
    _refused("sessions of others terminated", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'portal_broker'"
             " OR backend_type = 'checkpointer' LIMIT 1"),
)
# fmt: on
TACTICS = SESSIONS + LOGIN + LOCKS + LEFTOVERS
