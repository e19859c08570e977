"""A tour in pictures of the running demo (`make tour`), and how light and quick its pages are.

The pictures are made anew from a demo of their own each time, so that docs/tour.md never shows what is
no longer there. What must stay secret is covered before a picture is taken.
"""
