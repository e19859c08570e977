"""The rows, as statements: each makes those of the numbers n from {lo} + 1 to {hi}.

Everything follows from its number, so that rows fit each other without being looked up: request r
is of person (r * 7919) % people + 1, and events 10 r - 9 to 10 r tell of request r.
"""

# Numbers below are kept for those who look at the pages (bench/speed/fill.py).
BASE = 1000
FLOWS, TEAMS, INTEGRATIONS = 60, 50, 6

_FIRST = (  # noqa: SIM905 - words are easier to read
    "Ada Alan Amina Anders Anna Aron Astrid Ben Bianca Boris Carla Cem Chen Clara Dana David Dmitri "
    "Edda Elena Emil Erik Esra Eva Farid Femke Fiona Frida Gabor Greta Hanna Hugo Ida Igor Ines Ivan "
    "Jana Jonas Julia Karim Katja Lars Lea Leon Lina Luca Maja Marek Mia Milan Nadia Nils Nora Olga "
    "Oskar Paula Peter Petra Rosa Samir Tara Yusuf"
).split()
_LAST = (  # noqa: SIM905 - words are easier to read
    "Adler Albers Bach Baker Bauer Beck Berg Bianchi Blum Brandt Braun Carver Castro Clark Cohen "
    "Conti Costa Dahl Diaz Dietz Eder Engel Evans Falk Ferrari Fischer Frank Fuchs Garcia Gruber Haas "
    "Hahn Hansen Hart Heinz Hoffmann Horn Horvat Huber Ito Ivanov Jansen Jensen Jung Kaiser Keller Kim "
    "Klein Koch Kovacs Kowalski Kraus Lang Larsen Lehmann Lind Lopez Ludwig Maier Marino Martin Mayer "
    "Meyer Moreau Moser Mueller Nagy Neumann Nielsen Novak Olsen Otto Park Peters Petrov Popescu Quinn "
    "Rao Reed Richter Rossi Roth Sato Schmidt Schulz Silva Simon Singh Stein Tanaka Thomas Vogel Wagner "
    "Weber Winter Wolf Young"
).split()


def _one_of(words: list[str], number: str) -> str:
    listed = ",".join(f"'{word}'" for word in words)
    return f"(ARRAY[{listed}])[1 + (({number}) % {len(words)})::int]"


def _name(k: str) -> str:
    return f"{_one_of(_FIRST, k)} || ' ' || {_one_of(_LAST, f'({k}) / {len(_FIRST)}')}"


def _email(k: str) -> str:
    first, last = [word.lower() for word in _FIRST], [word.lower() for word in _LAST]
    named = f"{_one_of(first, k)} || '.' || {_one_of(last, f'({k}) / {len(first)}')}"
    return f"{named} || '.' || {k} || '@example.org'"


def _label(k: str) -> str:
    return f"{_name(k)} || ' <' || {_email(k)} || '>'"


def _at(event: str) -> str:
    """When an event happened: evenly over the days of this growth."""
    return f"('{{since}}'::timestamptz + ({event} - {{first_event}}) * interval '{{pace_us}} microseconds')"


_REQUESTER = "(1 + (n * 7919) % {people})"
_OF_EVENT = "(1 + (((n + 9) / 10) * 7919) % {people})"
_FLOW = f"((n * 7 + n / 200) % {FLOWS})"
_BROWSER = "'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'"
_SERIES = "generate_series({lo}::bigint + 1, {hi}::bigint) n"
# Every 200th request is open, every 200th waits for its approvers, every 1,000th for a code.
_STATUS = """CASE WHEN n % 200 = 0 THEN 'active' WHEN n % 200 = 1 THEN 'pending_approval'
    WHEN n % 1000 = 2 THEN 'pending_mfa' WHEN n % 20 = 3 THEN 'rejected' WHEN n % 20 = 4 THEN 'cancelled'
    WHEN n % 20 = 5 THEN 'lapsed' WHEN n % 20 = 6 THEN 'failed' WHEN n % 20 < 9 THEN 'revoked'
    ELSE 'expired' END"""
# The ten events of a request, by the last digit of their number.
_EVENTS = (  # noqa: SIM905 - words are easier to read
    "grant:prove session:sign_in mfa:verify request:submit request:release request:approve "
    "request:activate grant:activate grant:reveal request:expire"
).split()

PEOPLE = f"""
    INSERT INTO users_user (id, password, email, name, role, is_active, created_at, search_words)
    SELECT {BASE} + n, 'pbkdf2_sha256$1000000$' || repeat('x', 66), {_email("n")}, {_name("n")},
        CASE WHEN n % 5000 = 0 THEN 'admin' WHEN n % 5000 = 1 THEN 'auditor' ELSE 'member' END,
        n % 50 <> 0, {_at("n * 10")},
        lower({_name("n")}) || ' ' || translate({_email("n")}, '.@', '  ')
    FROM {_SERIES}"""
STATES = f"INSERT INTO mfa_mfastate (user_id, epoch) SELECT {BASE} + n, 0 FROM {_SERIES}"
MEMBERSHIPS = f"""
    INSERT INTO users_user_groups (id, user_id, group_id)
    SELECT {BASE} + n, {BASE} + (n + 1) / 2,
        CASE WHEN n % 2 = 0 THEN (SELECT id FROM auth_group WHERE name = 'Everyone')
        ELSE {BASE} + (n / 2) % {TEAMS} END
    FROM {_SERIES}"""
AUTHENTICATORS = f"""
    INSERT INTO otp_totp_totpdevice (id, name, confirmed, key, step, t0, digits, tolerance, drift,
        last_t, user_id, throttling_failure_count, created_at)
    SELECT {BASE} + n, 'Authenticator app', true, 'siv1.' || repeat('A', 70), 30, 0, 6, 1, 0, -1,
        {BASE} + n, 0, {_at("n * 10")}
    FROM {_SERIES} WHERE n % 20 <> 0"""
BROWSERS = f"""
    INSERT INTO mfa_knownbrowser (id, nonce_hash, epoch, user_agent, created_at, last_used_at, user_id)
    SELECT {BASE} + n, md5(n::text) || md5((-n)::text), 0, {_BROWSER}, {_at("n * 10")}, {_at("n * 10")},
        {BASE} + n
    FROM {_SERIES} WHERE n % 2 = 0"""
SESSIONS = f"""
    INSERT INTO django_session (session_key, session_data, expire_date)
    SELECT 'g' || left(md5(n::text), 31), repeat('x', 300), now() + interval '10 hours'
    FROM {_SERIES} WHERE n % 10 = 0"""
VERIFICATIONS = f"""
    INSERT INTO mfa_verification (id, at, outcome, scope, epoch, device_id, device_name, address,
        user_agent, user_id, session_ref)
    SELECT {BASE} + n, {_at("n * 5")}, CASE WHEN n % 40 = 0 THEN 'bad' ELSE 'ok' END,
        'known:' || ({BASE} + k), 0, {BASE} + k, 'Authenticator app', '10.0.0.0'::inet + k % 65536,
        {_BROWSER}, {BASE} + k, md5(n::text) || md5((-n)::text)
    FROM {_SERIES}, LATERAL (SELECT (1 + (((n + 1) / 2) * 7919) % {{people}})::int AS k) AS of_person"""
REQUESTS = f"""
    INSERT INTO requests_app_accessrequest (id, requester_id, requester_label, flow_id, flow_name,
        flow_version, flow_fingerprint, require_mfa, approval, approvals_required, escalation_tier,
        max_duration, duration, max_extensions, extension_duration, extensions_used, justification,
        ticket, status, status_changed_at, created_at, pending_until, starts_at, ends_at, remind_at,
        revoked_by_label, final_status, ended_at, message, verification_id, verified_at, verified_with,
        verified_scope, verified_from)
    SELECT {BASE} + n, {BASE} + k, {_label("k")}, {BASE} + f, 'Flow ' || f, 1, repeat('f', 64), f % 3 <> 0,
        CASE WHEN f % 2 = 0 OR status = 'pending_approval' THEN 'any_of' ELSE 'automatic' END, 1, 0,
        interval '8 hours', interval '1 hour', 0, interval '1 hour', 0,
        'Look into the failed import of the night, OPS-' || n, 'OPS-' || n, status, at, at,
        CASE WHEN status LIKE 'pending%' THEN now() + interval '10 hours' ELSE at + interval '1 hour' END,
        CASE WHEN granted THEN at END,
        CASE WHEN status = 'active' THEN now() + interval '10 hours' WHEN granted THEN at + interval '1 hour' END,
        CASE WHEN status = 'active' THEN now() + interval '9 hours' END, '', '',
        CASE WHEN granted AND status <> 'active' THEN at + interval '1 hour' END, '',
        CASE WHEN proven THEN {BASE} + 2 * n - 1 END, CASE WHEN proven THEN at END,
        CASE WHEN proven THEN 'Authenticator app' ELSE '' END,
        CASE WHEN proven THEN 'known:' || ({BASE} + k) ELSE '' END,
        CASE WHEN proven THEN '10.0.0.0'::inet + k % 65536 END
    FROM (SELECT n, {_REQUESTER}::int AS k, {_FLOW}::int AS f, {_STATUS} AS status, {_at("n * 10")} AS at
        FROM {_SERIES}) AS told,
        LATERAL (SELECT status IN ('active', 'revoked', 'expired') AS granted,
        f % 3 <> 0 AND status NOT IN ('pending_mfa', 'lapsed') AS proven) AS seen"""
TARGETS = f"""
    INSERT INTO requests_app_requestedtarget (id, request_id, integration_id, integration_name, resource,
        permission)
    SELECT {BASE} + n, {BASE} + n, {BASE} + f % {INTEGRATIONS}, 'System ' || f % {INTEGRATIONS},
        'database_' || f % 8, 'role_' || f % 4
    FROM {_SERIES}, LATERAL (SELECT {_FLOW}::int AS f) AS through"""
GRANTS = f"""
    INSERT INTO requests_app_grant (id, request_id, integration_id, integration_name, resource,
        permission, state, deadline, login, login_oid, system_identifier, activated_at, contained_at,
        ended_at, owned_objects, proof, lease_by, next_attempt_at, attempts, last_error)
    SELECT md5(n::text)::uuid, {BASE} + n, {BASE} + f % {INTEGRATIONS}, 'System ' || f % {INTEGRATIONS},
        'database_' || f % 8, 'role_' || f % 4, CASE WHEN open THEN 'active' ELSE 'removed' END,
        CASE WHEN open THEN now() + interval '10 hours' ELSE at + interval '1 hour' END,
        'jit_bench_' || n, n, '7300000000000000000', at, CASE WHEN NOT open THEN at + interval '1 hour' END,
        CASE WHEN NOT open THEN at + interval '1 hour' END, '[]',
        '{{{{"login_gone": true, "sessions": 0}}}}', '', at, 1, ''
    FROM (SELECT n, {_FLOW}::int AS f, {_STATUS} AS status, {_at("n * 10")} AS at FROM {_SERIES}) AS told,
        LATERAL (SELECT status = 'active' AS open) AS seen
    WHERE status IN ('active', 'revoked', 'expired')"""
DECISIONS = f"""
    INSERT INTO requests_app_decision (id, request_id, approver_id, approver_label, verdict, reason,
        fingerprint, at)
    SELECT {BASE} + n, {BASE} + n, {BASE} + k, {_label("k")},
        CASE WHEN n % 20 = 3 THEN 'reject' ELSE 'approve' END, 'As agreed', repeat('f', 64), {_at("n * 10")}
    FROM {_SERIES}, LATERAL (SELECT (1 + (n * 104729) % {{people}})::int AS k) AS by_person
    WHERE n % 2 = 0 OR n % 20 = 3"""
DELIVERIES = f"""
    INSERT INTO audit_delivery (id, event_id, channel, kind, recipient, recipient_label, subject, body,
        deferred_part, state, created_at, waiting_since, next_attempt_at, attempts, sent_at, last_error)
    SELECT {BASE} + n, n * 10, 'email', 'opened', {_email("k")}, {_name("k")},
        'Apono Portal: your access is open', repeat('Your access is open until this evening. ', 6), '',
        'sent', at, at, at, 1, at, ''
    FROM (SELECT n, {_REQUESTER}::int AS k, {_at("n * 10")} AS at FROM {_SERIES}) AS told"""
EVENTS = f"""
    INSERT INTO audit_event (id, at, event, actor_id, actor_label, target_type, target_id, target_label,
        request_id, request_label, address, user_agent, metadata)
    SELECT n, {_at("n")}, CASE WHEN n % 2001 = 7 THEN 'session:lock_out' WHEN n % 5003 = 1 THEN 'mfa:reset'
        WHEN n % 97 = 0 THEN 'mfa:refuse' ELSE {_one_of(_EVENTS, "n")} END,
        {BASE} + k, {_label("k")}, 'users.user', {BASE} + k, {_label("k")},
        CASE WHEN n % 10 NOT IN (1, 2) THEN {BASE} + r END,
        CASE WHEN n % 10 NOT IN (1, 2) THEN 'AR-' || ({BASE} + r) ELSE '' END,
        '10.0.0.0'::inet + k % 65536, {_BROWSER},
        jsonb_build_object('outcome', 'ok', 'scope', 'known:' || ({BASE} + k), 'verification', {BASE} + r)
    FROM {_SERIES}, LATERAL (SELECT (n + 9) / 10 AS r, {_OF_EVENT}::int AS k) AS told"""
PLACES = f"""
    INSERT INTO audit_chainentry (position, event_id, digest, chain_hash)
    SELECT n, n, md5(n::text) || md5((-n)::text), md5((n + 1)::text) || md5((-n - 1)::text) FROM {_SERIES}"""
SEALS = f"""
    INSERT INTO audit_checkpoint (number, first_position, last_position, settled_id, created_at, chain_hash, previous_hash,
        key_id, hash, mac)
    SELECT n, n * 500 - 499, n * 500, n * 500, {_at("n * 500")}, repeat('a', 64), repeat('b', 64), 'b1',
        repeat('c', 64), repeat('d', 64)
    FROM {_SERIES}"""

# Once, before anybody grows: what stays as it is. Admins decide in the first two teams.
STANDING = f"""
    INSERT INTO auth_group (id, name) SELECT {BASE} + n, 'Team ' || n FROM generate_series(0, {TEAMS - 1}) n;
    INSERT INTO users_user_groups (user_id, group_id)
        SELECT id, {BASE} + team FROM users_user, generate_series(0, 1) team WHERE role = 'admin';
    INSERT INTO accessflows_integration (id, name, kind, host, port, database, broker, url, secret_id,
        encrypted_password, sslmode, sslrootcert, connection_limit, terminate_sessions_on_reset, is_active,
        next_check_at, health, health_report, system_identifier, created_at)
        SELECT {BASE} + n, 'System ' || n, 'postgresql', '127.0.0.1', 1, 'postgres', 'broker', '',
        md5(n::text)::uuid, 'siv1.none', 'disable', '', 3, true, true, now() + interval '1 day', 'healthy', '[]',
        '7300000000000000000', now() FROM generate_series(0, {INTEGRATIONS - 1}) n;
    INSERT INTO accessflows_resource (id, integration_id, name, description)
        SELECT {BASE} + i * 8 + n, {BASE} + i, 'database_' || n, ''
        FROM generate_series(0, {INTEGRATIONS - 1}) i, generate_series(0, 7) n;
    INSERT INTO accessflows_permission (id, integration_id, name, description, rights)
        SELECT {BASE} + i * 4 + n, {BASE} + i, 'role_' || n, '', '{{{{}}}}'
        FROM generate_series(0, {INTEGRATIONS - 1}) i, generate_series(0, 3) n;
    INSERT INTO accessflows_accessflow (id, name, require_mfa, description, max_duration, available_days,
        available_zone, max_extensions, extension_duration, approval, approvals_required,
        require_justification, ticket_pattern, require_ticket, require_approver_reason,
        allow_self_approval, is_active, version, fingerprint, created_at, changed_at)
        SELECT {BASE} + f, 'Flow ' || f, f % 3 <> 0, '', interval '8 hours', '[]', '', 0, interval '1 hour',
        CASE WHEN f % 2 = 0 THEN 'any_of' ELSE 'automatic' END, 1, true, '', false, false, false, true, 1,
        repeat('f', 64), now(), now() FROM generate_series(0, {FLOWS - 1}) f;
    INSERT INTO accessflows_accessflow_requestor_groups (accessflow_id, group_id)
        SELECT {BASE} + f, CASE WHEN f % 3 = 0 THEN {BASE} + f % {TEAMS}
        ELSE (SELECT id FROM auth_group WHERE name = 'Everyone') END FROM generate_series(0, {FLOWS - 1}) f;
    INSERT INTO accessflows_accessflow_approver_groups (accessflow_id, group_id)
        SELECT {BASE} + f, {BASE} + f % {TEAMS} FROM generate_series(0, {FLOWS - 1}) f;
    INSERT INTO accessflows_flowtarget (flow_id, resource_id, permission_id)
        SELECT {BASE} + f, {BASE} + (f % {INTEGRATIONS}) * 8 + (f + t) % 8, {BASE} + (f % {INTEGRATIONS}) * 4 + f % 4
        FROM generate_series(0, {FLOWS - 1}) f, generate_series(0, 3) t"""

# Those who look at the pages have 20 requests each, at every size the same: one is open, one waits.
_OWN = f"r.id - {BASE} BETWEEN u.id * 20 - 19 AND u.id * 20 AND u.id < {BASE}"
OWN_REQUESTS = f"""
    UPDATE requests_app_accessrequest r SET requester_id = u.id, requester_label = u.name || ' <' || u.email || '>'
        FROM users_user u WHERE {_OWN};
    UPDATE requests_app_accessrequest r SET status = 'active', ended_at = NULL,
        ends_at = now() + interval '10 hours'
        FROM users_user u WHERE {_OWN} AND r.id % 20 = 10 AND r.status = 'expired';
    UPDATE requests_app_grant g SET state = 'active', ended_at = NULL, contained_at = NULL, proof = '{{{{}}}}',
        deadline = now() + interval '10 hours'
        FROM requests_app_accessrequest r WHERE r.id = g.request_id AND r.status = 'active';
    UPDATE requests_app_accessrequest r SET status = 'pending_approval', ended_at = NULL, starts_at = NULL,
        ends_at = NULL, approval = 'any_of', pending_until = now() + interval '10 hours'
        FROM users_user u WHERE {_OWN} AND r.id % 20 = 11 AND r.status = 'expired';
    DELETE FROM requests_app_grant g USING requests_app_accessrequest r
        WHERE r.id = g.request_id AND r.status = 'pending_approval'"""
