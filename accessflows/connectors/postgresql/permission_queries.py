"""Queries for what roles own, gave to others and set for themselves, and the SQL that undoes it.

Objects are found through pg_shdepend (PostgreSQL manual, "pg_shdepend"). The server itself quotes the names in
the statements.
"""

from psycopg import sql

_HERE = sql.SQL("(SELECT oid FROM pg_database WHERE datname = current_database())")
# Of an entry of an access list.
_GRANTEE = sql.SQL(
    "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END"
)
_OPTIONS = sql.SQL("(SELECT '' UNION ALL SELECT 'GRANT OPTION FOR ' WHERE x.is_grantable)")

# Where the roles own anything or are named in an access list, and grantees or the broker can connect.
DATABASES = sql.SQL(
    "SELECT d.datname::text AS name, has_database_privilege(d.oid, 'CONNECT') AS readable"
    " FROM pg_database d WHERE d.datallowconn AND EXISTS (SELECT FROM pg_shdepend s"
    "   WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass"
    "   AND s.refobjid = ANY(%(oids)s::oid[]))"
    " AND (has_database_privilege(d.oid, 'CONNECT')"
    "   OR has_database_privilege(%(permission)s::name, d.oid, 'CONNECT')) ORDER BY 1"
)
# Every object that depends on one of the roles, with its access list. Shared ones are read once only.
_OBJECTS = sql.SQL(
    "WITH dependent(classid, objid) AS MATERIALIZED ("
    "  SELECT DISTINCT classid, objid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    "  AND refobjid = ANY(%(oids)s::oid[]) AND (dbid = {here} OR dbid = 0 AND %(shared)s)"
    "), object(id, kind, name, part, acl) AS ("
    "  SELECT 'r' || c.oid, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,"
    "    c.oid::regclass::text, '', c.relacl FROM dependent JOIN pg_class c ON c.oid = objid"
    "    WHERE classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    "  UNION ALL SELECT 'c' || attrelid || '.' || attnum, 'TABLE', attrelid::regclass::text,"
    "    ' (' || quote_ident(attname) || ')', attacl FROM dependent"
    "    JOIN pg_attribute ON attrelid = objid AND NOT attisdropped"
    "    WHERE classid = 'pg_class'::regclass AND attacl IS NOT NULL"
    "  UNION ALL SELECT 'p' || oid, 'ROUTINE', oid::regprocedure::text, '',"
    "    COALESCE(proacl, acldefault('f', proowner)) FROM dependent JOIN pg_proc ON oid = objid"
    "    WHERE classid = 'pg_proc'::regclass"
    "  UNION ALL SELECT 'n' || oid, 'SCHEMA', oid::regnamespace::text, '', nspacl FROM dependent"
    "    JOIN pg_namespace ON oid = objid WHERE classid = 'pg_namespace'::regclass"
    "  UNION ALL SELECT 't' || oid, 'TYPE', oid::regtype::text, '',"
    "    COALESCE(typacl, acldefault('T', typowner)) FROM dependent JOIN pg_type ON oid = objid"
    "    WHERE classid = 'pg_type'::regclass"
    "  UNION ALL SELECT 'l' || oid, 'LARGE OBJECT', oid::text, '', lomacl FROM dependent"
    "    JOIN pg_largeobject_metadata ON oid = objid WHERE classid = 'pg_largeobject'::regclass"
    "  UNION ALL SELECT 'g' || oid, 'LANGUAGE', quote_ident(lanname), '',"
    "    COALESCE(lanacl, acldefault('l', lanowner)) FROM dependent JOIN pg_language ON oid = objid"
    "    WHERE classid = 'pg_language'::regclass"
    "  UNION ALL SELECT 'w' || oid, 'FOREIGN DATA WRAPPER', quote_ident(fdwname), '', fdwacl"
    "    FROM dependent JOIN pg_foreign_data_wrapper ON oid = objid"
    "    WHERE classid = 'pg_foreign_data_wrapper'::regclass"
    "  UNION ALL SELECT 's' || oid, 'FOREIGN SERVER', quote_ident(srvname), '', srvacl"
    "    FROM dependent JOIN pg_foreign_server ON oid = objid"
    "    WHERE classid = 'pg_foreign_server'::regclass"
    "  UNION ALL SELECT 'd' || oid, 'DATABASE', quote_ident(datname), '',"
    "    COALESCE(datacl, acldefault('d', datdba)) FROM dependent JOIN pg_database ON oid = objid"
    "    WHERE classid = 'pg_database'::regclass"
    "  UNION ALL SELECT 'b' || oid, 'TABLESPACE', quote_ident(spcname), '', spcacl FROM dependent"
    "    JOIN pg_tablespace ON oid = objid WHERE classid = 'pg_tablespace'::regclass"
    "  UNION ALL SELECT 'a' || oid, 'PARAMETER', parname, '', paracl FROM dependent"
    "    JOIN pg_parameter_acl ON oid = objid WHERE classid = 'pg_parameter_acl'::regclass"
    ") "
).format(here=_HERE)
ENTRIES = _OBJECTS + sql.SQL(
    "SELECT concat_ws(':', 'right', id, x.grantor, x.grantee, x.privilege_type, option) AS key,"
    " pg_get_userbyid(x.grantor)::text AS role, 'right' AS kind,"
    " format('%%s%%s%%s on %%s %%s to %%s', option, x.privilege_type, part, lower(kind), name, {grantee})"
    "   AS text,"
    " format('REVOKE %%s%%s%%s ON %%s %%s FROM %%s CASCADE', option, x.privilege_type, part, kind, name,"
    "   {grantee}) AS undo"
    " FROM object CROSS JOIN LATERAL aclexplode(acl) x"
    " CROSS JOIN LATERAL {options} o(option)"
    " WHERE x.grantor = ANY(%(oids)s::oid[]) AND x.grantee <> x.grantor"
    # What a role without default privileges has is in acldefault(), for the whole database only.
    " UNION ALL SELECT concat_ws(':', 'default', defaclrole, defaclnamespace, defaclobjtype,"
    "   x.grantee, x.privilege_type, option), pg_get_userbyid(defaclrole)::text,"
    "   'default privileges', format('%%s%%s on future %%s%%s to %%s', option, x.privilege_type,"
    "    lower(kind), COALESCE(' in schema ' || quote_ident(nspname), ''), {grantee}),"
    "   format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I%%s REVOKE %%s%%s ON %%s FROM %%s',"
    "     pg_get_userbyid(defaclrole), COALESCE(' IN SCHEMA ' || quote_ident(nspname), ''), option,"
    "    x.privilege_type, kind, {grantee})"
    " FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace"
    " CROSS JOIN LATERAL (SELECT CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'"
    "   WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS'"
    "   ELSE 'LARGE OBJECTS' END) k(kind)"
    " CROSS JOIN LATERAL aclexplode(defaclacl) x"
    " CROSS JOIN LATERAL {options} o(option)"
    " WHERE defaclrole = ANY(%(oids)s::oid[]) AND x.grantee <> defaclrole"
    " AND NOT (defaclnamespace = 0 AND x.grantee = 0 AND option = ''"
    "   AND defaclobjtype IN ('f', 'T'))"
    " ORDER BY 1 LIMIT %(limit)s"
).format(grantee=_GRANTEE, options=_OPTIONS)
OWNED = sql.SQL(
    "SELECT concat_ws(':', 'object', classid, objid) AS key, pg_get_userbyid(refobjid)::text AS role,"
    " 'object' AS kind, '' AS undo,"
    " pg_describe_object(classid, objid, 0) || ', owned by ' || pg_get_userbyid(refobjid) AS text"
    " FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    " AND refobjid = ANY(%(oids)s::oid[]) AND deptype = 'o' AND dbid = {here}"
    " AND classid <> 'pg_default_acl'::regclass ORDER BY 1 LIMIT %(limit)s"
).format(here=_HERE)
SETTINGS = sql.SQL(
    "SELECT concat_ws(':', 'setting', setrole, setdatabase, setting) AS key,"
    " rolname::text AS role, 'setting' AS kind, format('%%s set for %%s', setting, rolname) AS text,"
    " format('ALTER ROLE %%I%%s RESET %%s', rolname,"
    "   COALESCE(' IN DATABASE ' || quote_ident(datname), ''), quote_ident(split_part(setting, '=', 1)))"
    "   AS undo"
    " FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole"
    " LEFT JOIN pg_database d ON d.oid = setdatabase CROSS JOIN LATERAL unnest(setconfig) setting"
    " WHERE setrole = ANY(%(oids)s::oid[]) ORDER BY 1 LIMIT %(limit)s"
)
MAY_READ_PASSWORDS = sql.SQL(
    "SELECT has_column_privilege('pg_authid', 'rolpassword', 'SELECT') AS ok"
)
PASSWORDS = sql.SQL(
    "SELECT concat_ws(':', 'password', oid) AS key, rolname::text AS role, 'password' AS kind,"
    " format('a password of %%s', rolname) AS text,"
    " format('ALTER ROLE %%I PASSWORD NULL', rolname) AS undo"
    " FROM pg_roles r WHERE oid = ANY(%(oids)s::oid[]) AND EXISTS (SELECT FROM pg_authid a"
    "   WHERE a.oid = r.oid AND a.rolpassword IS NOT NULL)"
)
GRANT_OPTIONS = _OBJECTS + sql.SQL(
    "SELECT x.grantee::bigint AS oid, pg_get_userbyid(x.grantee)::text AS role,"
    " min(format('%%s%%s on %%s %%s', x.privilege_type, part, lower(kind), name)) AS granted"
    " FROM object CROSS JOIN LATERAL aclexplode(acl) x"
    " WHERE x.is_grantable AND x.grantee = ANY(%(oids)s::oid[]) AND x.grantee <> x.grantor"
    " GROUP BY x.grantee"
)
OID = sql.SQL("SELECT oid::bigint AS oid FROM pg_roles WHERE rolname = %(role)s")
MAY_BECOME = sql.SQL("SELECT pg_has_role(%(role)s::name, %(usage)s) AS ok")
