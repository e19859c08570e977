"""PostgreSQL: a login role for every grant, which really ends.

The steps and their order follow from how PostgreSQL behaves; docs/decisions has what was measured.
"""

from accessflows.connectors.postgresql.connector import PostgreSQLConnector
from accessflows.connectors.protocol import Connector

connector: Connector = PostgreSQLConnector()
