"""The rules of the end, each with a way to break it that the chapter must find, as in bench.attack.rules."""

from bench.attack.rules import Edit, Rule

_POSTGRESQL = "accessflows/connectors/postgresql/"
CONTAINMENT, CLEANING = f"{_POSTGRESQL}containment.py", f"{_POSTGRESQL}cleaning.py"

# fmt: off
RULES = (
    Rule("sign-ins are stopped", ("an idle session",), [
        Edit(CONTAINMENT, "                if not role.is_disabled\n", "                if False\n")]),
    Rule("a sign-in that has begun is stopped", ("pauses halfway",), [
        Edit(CONTAINMENT, "{role} NOLOGIN PASSWORD NULL VALID UNTIL {epoch}", "{role} PASSWORD NULL VALID UNTIL {epoch}"),
        Edit(f"{_POSTGRESQL}roles.py", "return not self.can_login and self.valid_until == EPOCH", "return self.valid_until == EPOCH"),
        Edit(CLEANING, "    if role.can_login or count_open_sessions", "    if True or count_open_sessions")]),
    Rule("sessions are terminated", ("an idle session",), [
        Edit(f"{_POSTGRESQL}backend_sessions.py", "pg_terminate_backend(pid) AS signalled", "true AS signalled")]),
    Rule("a session that locks its role is terminated first", ("an open transaction that locks",), [
        Edit(CONTAINMENT, "return signal_sessions(connection, oids) if oids else []", "return []")]),
    Rule("prepared transactions are rolled back", ("a prepared transaction that locks",), [
        Edit(CONTAINMENT, "if (role := _role_to_disable(lookup)) and not role.has_attributes\n    }\n    for",
             "if (role := _role_to_disable(lookup)) and False\n    }\n    for")]),
    Rule("memberships are revoked, and rights on what is left", ("a view, and an accomplice",), [
        Edit(CONTAINMENT, "    _revoke_memberships(connection, ours)\n", ""),
        Edit(CLEANING, "                _take_rights_away(target, database, identity, role)\n", "                pass\n")]),
    Rule("rights on what is left end before locks are waited for", ("holds a lock on what the login owns",), [
        Edit(CLEANING, "                _take_rights_away(target, database, identity, role)\n", "                pass\n")]),
    Rule("rights on what is left are revoked", ("a copy for everybody", "handed on by an accomplice"), [
        Edit(CLEANING, "WHERE x.grantee <> owner", "WHERE false")]),
    Rule("triggers are disarmed", ("to the accomplice",), [
        Edit(CLEANING, "WHERE p.proowner = %(oid)s::oid AND c.relowner <> p.proowner", "WHERE false")]),
    Rule("what is left is listed", ("a copy for everybody",), [
        Edit("requests_app/worker/steps.py", "        if not save_owned_objects(grant, lease, owned_objects):\n            return None\n", "")]),
    Rule("what the capability role gave to others is undone", ("default privileges of the capability role",), [
        Edit("requests_app/worker/steps.py", "        if not undo_permission_changes(grant, lease, connector, target, identity, states):\n            return None\n", "")]),
    Rule("nobody becomes the capability role", ("SET ROLE to the capability role",), [
        Edit(f"{_POSTGRESQL}activation.py", "WITH INHERIT TRUE, SET FALSE, ADMIN FALSE", "WITH INHERIT TRUE, SET TRUE, ADMIN FALSE"),
        Edit(f"{_POSTGRESQL}activation.py", "inherit, may_set = (True, False)", "inherit, may_set = (True, True)")]),
    Rule("nobody passes on the capability", ("the capability granted to an accomplice",), [
        Edit(f"{_POSTGRESQL}activation.py", "WITH INHERIT TRUE, SET FALSE, ADMIN FALSE", "WITH INHERIT TRUE, SET FALSE, ADMIN TRUE"),
        Edit(f"{_POSTGRESQL}activation.py", '"admin": False, "inherit"', '"admin": True, "inherit"')]),
    Rule("a connection is kept for the end", ("sockets that never sign in",), [
        Edit("requests_app/worker/loop.py", "        self._keep_connections()\n", ""),
        Edit(f"{_POSTGRESQL}connection.py", "    if not pool.is_enabled or status in", "    if True or status in")]),
)
# fmt: on
