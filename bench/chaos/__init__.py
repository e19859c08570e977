"""Chaos (`make chaos`): kill workers, stop servers, run races, and judge by the target's catalogs.

Everything is real: a PostgreSQL target, the portal's rows on another PostgreSQL, worker processes as
in production, credentials that sign in. Nothing in the portal knows that it is being tested.
"""
