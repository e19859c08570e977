"""The contract of the command-line client that users of Apono have, by personal token.

The package can be deleted with its line in `apono_portal.api.urls`: nothing else knows it.
"""
