"""The attack campaign (`make attack`).

It starts a portal of its own with two web processes and a worker, attacks it over HTTP on loopback
as robots would, and counts successes. It talks to the portal as a browser does and judges from
outside: by the pages users see and by the catalogs of the target database.
"""
