"""What the broker must be able to do on a target, so that it can end whatever it begins.

Preflight shows these as green and red; activation refuses as long as one that concerns its own
grant is red.
"""

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.connection import Question, Session
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.protocol import Check

# pg_has_role() knows the privilege SET since version 16; before, membership implied it.
_BROKER = (
    "SELECT current_user AS broker, me.rolsuper AS superuser,"
    " me.rolsuper OR me.rolcreaterole AS createrole,"
    " pg_has_role('pg_signal_backend', 'USAGE') AS signals,"
    " grave.oid IS NOT NULL AS grave_exists,"
    " grave.rolcanlogin OR grave.rolsuper OR grave.rolcreaterole OR grave.rolcreatedb"
    "   OR grave.rolreplication OR grave.rolbypassrls"
    "   OR EXISTS (SELECT FROM pg_auth_members WHERE member = grave.oid) AS grave_powerful,"
    " COALESCE(pg_has_role(grave.oid, 'USAGE') AND pg_has_role(grave.oid, {set}), false)"
    "   AS grave_usable"
    " FROM pg_roles me LEFT JOIN pg_roles grave ON grave.rolname = {grave}"
    " WHERE me.rolname = current_user"
)
_ADMIN = sql.SQL(
    "SELECT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') AS ok FROM pg_roles"
    " WHERE rolname = %(permission)s"
)
_GRANT = sql.SQL(
    "SELECT d.datallowconn AS open, has_database_privilege(d.oid, 'CONNECT') AS broker_connects,"
    " has_database_privilege(r.oid, d.oid, 'CONNECT') AS permission_connects,"
    " pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS may_grant"
    " FROM (SELECT) nothing LEFT JOIN pg_database d ON d.datname = %(resource)s"
    " LEFT JOIN pg_roles r ON r.rolname = %(permission)s"
)


def broker_question(session: Session) -> Question:
    usage = "SET" if session.has_membership_options else "MEMBER"
    names = {"set": sql.Literal(usage), "grave": sql.Literal(GRAVEYARD_ROLE)}
    return sql.SQL(_BROKER).format(**names), None


def broker_checks(session: Session, facts: DictRow) -> list[Check]:
    """What the broker needs whatever is granted, judged from the answer to `broker_question`."""
    return [_primary(session), _createrole(facts), _signals(session, facts), _grave(session, facts)]


def broker_and_grant_question(session: Session, resource: str, permission: str) -> Question:
    """One row with all that the broker needs for one grant."""
    broker, _ = broker_question(session)
    together = sql.SQL("SELECT * FROM ({broker}) broker CROSS JOIN ({grant}) grant_of_one")
    values = {"resource": resource, "permission": permission}
    return together.format(broker=broker, grant=_GRANT), values


def grant_checks(session: Session, facts: DictRow, resource: str, permission: str) -> list[Check]:
    """What this one grant needs, judged from the answer to that question."""
    return [
        _admin(session, permission, may_grant=facts["may_grant"]),
        _place(session, facts, resource, permission),
    ]


def admin_check(session: Session, permission: str) -> Check:
    """May the broker grant this role?"""
    found = session.rows(_ADMIN, {"permission": permission})
    return _admin(session, permission, may_grant=bool(found and found[0]["ok"]))


def _admin(session: Session, permission: str, *, may_grant: bool) -> Check:
    """Before version 16 CREATEROLE is enough, for any role."""
    name = f"Grant {permission}"
    if may_grant or not session.has_membership_options:
        return Check.green(name, f"The broker may grant {permission}.")
    return Check.red(
        name,
        f"The broker may not grant {permission}. Give it the role with ADMIN OPTION.",
        setup_sql.admin_option_sql(session.target.user, permission),
    )


def _primary(session: Session) -> Check:
    if session.standby:
        return Check.red(
            "Primary",
            "This server is a standby and takes no changes. Give the primary's address.",
        )
    return Check.green("Primary", "The server takes changes.")


def _createrole(facts: DictRow) -> Check:
    if facts["createrole"]:
        return Check.green("CREATEROLE", "The broker may create roles.")
    return Check.red(
        "CREATEROLE",
        f"The broker {facts['broker']} may not create roles. Give it CREATEROLE.",
        f"ALTER ROLE {setup_sql.identifier(facts['broker'])} CREATEROLE;",
    )


def _signals(session: Session, facts: DictRow) -> Check:
    if facts["signals"]:
        return Check.green("pg_signal_backend", "The broker may end open sessions.")
    return Check.red(
        "pg_signal_backend",
        "The broker may not end open sessions for sure. Make it a member of pg_signal_backend.",
        setup_sql.signal_sql(session.version // 10000, facts["broker"]),
    )


def _grave(session: Session, facts: DictRow) -> Check:
    name = "Graveyard role"
    if not facts["grave_exists"]:
        sentence = (
            f"There is no role {GRAVEYARD_ROLE} to own what grantees leave behind. Create it."
        )
        remedy = setup_sql.create_role_sql(GRAVEYARD_ROLE, "NOLOGIN")
    elif facts["grave_powerful"]:
        sentence = (
            f"{GRAVEYARD_ROLE} can log in, has attributes or is a member of other roles. What "
            "grantees leave behind would run with its power. Take all of that from it."
        )
        remedy = (
            f"ALTER ROLE {GRAVEYARD_ROLE} NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB "
            "NOREPLICATION NOBYPASSRLS;"
        )
    elif not facts["grave_usable"]:
        sentence = f"The broker may not hand things to {GRAVEYARD_ROLE}. Make it a member."
        remedy = ""
    else:
        return Check.green(name, "What grantees leave behind has a place to go.")
    join = setup_sql.graveyard_sql(session.version // 10000, facts["broker"])
    return Check.red(name, sentence, f"{remedy}\n{join}".strip())


def _place(session: Session, facts: DictRow, resource: str, permission: str) -> Check:
    name = f"Connect to {resource}"
    if not facts["open"]:
        return Check.red(
            name,
            f"The target has no open database named {resource}. It was dropped, renamed or closed.",
        )
    for key, who in (("broker_connects", session.target.user), ("permission_connects", permission)):
        if not facts[key]:
            return Check.red(
                name,
                f"{who} may not connect to the database {resource}. Grant it CONNECT.",
                setup_sql.connect_sql(resource, who),
            )
    return Check.green(name, f"The broker and {permission} may connect to {resource}.")
