"""Chaos (`make chaos`): kill workers, stop servers, run races, and judge by the target.

PostgreSQL, worker processes and credentials are real.
"""
