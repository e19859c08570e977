"""The mutation run: `make mutate` breaks each condition in turn and expects a test to fail.

First one run of the tests notes which test reaches which line. Then, in copies of the tree, each
mutant meets the tests that reach its line. What no test notices is a survivor: it gets a test, or an
explanation in docs/security.md.
"""
