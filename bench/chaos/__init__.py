"""Chaos: workers are killed, servers stopped and races run, and the target itself says what came of it.

`make chaos` runs it. Everything is real: a PostgreSQL target, the portal's rows on another
PostgreSQL, worker processes as in production, credentials that sign in. Nothing in the portal knows
that it is being tested.
"""
