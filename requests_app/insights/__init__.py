"""Insights: figures of each day, counted by a worker, and the page that draws them.

counting    the figures of one day, from the audit log and the rows it names
coverage    how many people have set up MFA, at this moment
keeping     the worker's side: days that are due are counted and kept
reading     what the page shows of a range of days
charts      where bars and lines stand
"""
