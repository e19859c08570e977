"""`python -m bench.call MODULE:FUNCTION`: call a function in a Django process of its own.

Keyword arguments are read as JSON, and the result is printed as JSON.
"""

import importlib
import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(function(**json.load(sys.stdin))))
