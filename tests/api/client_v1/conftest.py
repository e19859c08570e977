"""A real target for tests of credentials."""

from tests.fixtures.postgres import (  # noqa: F401
    pg_target,
    pg_version,
    provisioned_server,
    start_postgres,
)
from tests.requests_app.conftest import real_flow  # noqa: F401
