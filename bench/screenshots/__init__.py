"""Screenshots for docs/tour.md (`make screenshots`), taken from a demo of their own.

What must stay secret is covered before a screenshot is taken.
"""
