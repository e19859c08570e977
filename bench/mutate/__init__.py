"""The mutation run: `make mutate` breaks each condition in turn and expects a test to fail.

Two warmed-up processes fork a child for each mutant. A child puts the broken code into the functions
that are there and runs the tests that reach the broken statement: first the test that noticed this
mutant last time, then the quickest, up to the first failure, 150 at most. What no test notices is a survivor: it
gets a test, simpler code, or a reason in bench/mutate/explained.toml.
"""
