"""View models of requests."""
