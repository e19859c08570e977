"""The attack campaign (`make attack`).

It starts a portal of its own, attacks it over HTTP as robots would, and judges from outside: by the
pages users see and by the catalogs of the target database.
"""
