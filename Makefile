# One entry for everything; `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench docs requirements python chromium
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

bin := .venv/bin

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: python ## Make what the hub and its tests need: Python packages, providers, front end
	@$(bin)/python -m app.setup setup all

run: ## Start sandbox cloud, nodes and hub (as ./run.sh does)
	@./run.sh

test: setup chromium lint ## Check everything: set-up, lint, all tests with coverage (at least 90 % of lines)
	@$(bin)/python -m pytest -n 2 --dist loadgroup --cov=app --cov-report=term --cov-fail-under=90

lint: python ## Check style, types, the order of imports, and the dependencies
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .
	@$(bin)/mypy --strict app/
	@$(bin)/lint-imports
	@$(bin)/deptry .

bench: setup ## Measure against the goals (docs/benchmarks.md)
	@$(bin)/python -m tests.bench

docs: python ## Write the pages of docs/ that are generated
	@$(bin)/mchub docs settings >docs/settings.md.new && mv docs/settings.md.new docs/settings.md
	@$(bin)/mchub docs openapi >docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

requirements: ## Pin anew what pyproject.toml names (requirements.txt, requirements-dev.txt)
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	python3 -m venv "$$scratch"; pip="$$scratch/bin/python -m pip --disable-pip-version-check -q"; \
	$$pip install .; $$pip freeze --exclude mchub >"$$scratch/run"; \
	$$pip install '.[dev]'; $$pip freeze --exclude mchub >"$$scratch/dev"; \
	{ echo "# What the hub runs with, exactly; made from pyproject.toml by \`make requirements\`."; \
	  cat "$$scratch/run"; } >requirements.txt; \
	{ echo "# What the tests and checks need besides."; echo "-r requirements.txt"; \
	  grep -vxFf "$$scratch/run" "$$scratch/dev"; } >requirements-dev.txt

python:
	@./run.sh python --dev

# Debian's Chromium, with the libraries it needs: the tests drive the pages with it.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "The tests need Chromium. On Debian: sudo apt-get install chromium. Then start make test again."; exit 1; fi; \
	log=$${MCHUB_DATA:-data}/logs/setup.log; began=$$SECONDS; echo "Installing Chromium ..."; \
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >>"$$log" 2>&1 \
	  || { echo "Chromium could not be installed: $$(tail -n 1 "$$log"). The whole output is in $$log."; exit 1; }; \
	echo "  done in $$((SECONDS - began)) s"
