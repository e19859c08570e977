"""PostgreSQL: a login role for every grant, which is really removed.

The steps and their order follow from how PostgreSQL behaves; docs/decisions has the measurements.
"""

from accessflows.connectors.postgresql.connector import PostgreSQLConnector
from accessflows.connectors.protocol import Connector

connector: Connector = PostgreSQLConnector()
