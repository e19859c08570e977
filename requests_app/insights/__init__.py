"""Insights: figures of each day, computed by a worker, and the page that charts them.

aggregation   the figures of one day, from the audit log and the rows it refers to
coverage      how many users have set up MFA right now
daily_rollup  the worker task that computes due days and stores them
report        what the page shows of a range of days
charts        the geometry of bars and lines
"""
