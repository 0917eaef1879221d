# Each target is a thin line over the `payments` command or one tool. `make help` lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin
PAYMENTS := $(BIN)/payments
# Where a container forbids Python to keep what it has compiled, each start would compile it all again.
unexport PYTHONDONTWRITEBYTECODE
# With hashes, without a registry's address.
RESOLVE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-header --no-emit-index-url --no-emit-find-links --quiet --upgrade

# What `make gateway-simulator` sends when ARGS says nothing: mostly good, some of each bad kind.
TRAFFIC := --events 3000 --duplicates 0.05 --malformed 0.02 --bad-signature 0.02 --altered 0.005

# Licences that ask for the source of what is offered as a service, or forbid offering it.
UNWANTED_LICENSES := AGPL;Affero;SSPL;Server Side Public;Business Source;Commons Clause;Elastic

.PHONY: help setup check pipeline-up pipeline-down orchestrator-up status logs migrate \
	gateway-simulator audit test lint bench chaos lock setup-superset lakehouse-up dashboards-up demo \
	dbt-docs audit-dependencies sbom licenses fuzz

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' Makefile

setup: ## Create .venv from the locked packages; at once when it is there
	@infrastructure/local/setup

check: setup ## What this machine lacks, and what to do about it
	@$(PAYMENTS) doctor

pipeline-up: setup ## Start everything and wait until it is ready; again changes nothing
	@$(PAYMENTS) up

pipeline-down: setup ## Stop everything; the data stays in var/
	@$(PAYMENTS) down

orchestrator-up: setup ## Start only what Temporal's half needs
	@$(PAYMENTS) up --only inference,dispatcher,worker

lakehouse-up: setup ## Start the pipeline, S3, the Iceberg catalog, Trino and Dagster
	@$(PAYMENTS) up --with lakehouse

dashboards-up: setup setup-superset ## Start all that, and Superset with its dashboards
	@$(PAYMENTS) up --with lakehouse,dashboards

demo: setup setup-superset ## From nothing to dashboards: start, simulate, load, model, audit; again adds
	@$(PAYMENTS) demo $(ARGS)

setup-superset: setup # Create .venv-superset (700 MB) from its locked packages; at once when it is there
	@infrastructure/local/setup-beside superset

status: setup ## What runs where
	@$(PAYMENTS) status

logs: setup ## What the components said last; ARGS="gateway --follow" goes on
	@$(PAYMENTS) logs $(ARGS)

migrate: setup ## Provision the stores: schema, topics, search attributes
	@$(PAYMENTS) migrate

gateway-simulator: setup ## Send signed events; ARGS="--events 100 --seed 7" says which
	@$(PAYMENTS) simulate $(or $(ARGS),$(TRAFFIC))

audit: setup ## Is each acknowledged event in exactly one place?
	@$(PAYMENTS) audit $(ARGS)

test: setup setup-superset ## Every test, on a stack of its own; ARGS="-k ledger" chooses
	@$(BIN)/pytest --numprocesses auto $(ARGS)

lint: setup ## Style, types, import contracts, architecture
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

dbt-docs: setup ## Describe every mart and its lineage; writes var/dbt/command/static_index.html
	@$(PAYMENTS) dbt docs generate --static $(ARGS)

bench: setup ## Measure each stage beside its limit (ARGS=gateway: one); writes var/bench.json
	@PYTHONPATH=tests $(BIN)/python -m bench.run $(ARGS)

chaos: setup setup-superset ## Every drill on a stack of its own (ARGS="kills --rounds 20": one); writes var/drills.json
	@PYTHONPATH=tests $(BIN)/python -m drills.run $(ARGS)

fuzz: setup ## Bodies and signatures that no one sent, at each provider; ARGS="--seconds 3600"
	@PYTHONPATH=tests $(BIN)/python -m fuzz.run $(ARGS)

audit-dependencies: setup ## Known vulnerabilities of what is locked; asks osv.dev
	@for lock in requirements superset sbom; do \
		$(BIN)/pip-audit --strict --disable-pip --vulnerability-service osv --progress-spinner off \
			--requirement infrastructure/locks/$$lock.txt || exit 1; done

sbom: setup setup-superset ## What all of it is made of, as CycloneDX: dist/sbom
	@infrastructure/local/setup-beside sbom
	@mkdir -p dist/sbom
	@for environment in .venv .venv-superset; do \
		.venv-sbom/bin/cyclonedx-py environment $$environment --output-reproducible --output-format JSON \
			--output-file dist/sbom/$${environment#.}.cdx.json || exit 1; done
	@$(BIN)/python -m local_stack.jar_sbom dist/sbom/jars.cdx.json
	@ls dist/sbom/*

licenses: setup setup-superset ## Each package's licence: dist/licenses; fails on one that binds a service
	@mkdir -p dist/licenses
	@for environment in .venv .venv-superset; do \
		$(BIN)/pip-licenses --python $$environment/bin/python --format=markdown --with-urls \
			--ignore-packages payment-pipeline --partial-match --fail-on="$(UNWANTED_LICENSES)" \
			--output-file=dist/licenses/$${environment#.}.md || exit 1; done

lock: setup ## Resolve the packages and Kafka's jars anew
	$(RESOLVE) pyproject.toml --all-extras --output-file infrastructure/locks/requirements.txt
	for lock in superset sbom; do \
		$(RESOLVE) infrastructure/locks/$$lock.in --output-file infrastructure/locks/$$lock.txt || exit 1; done
	$(BIN)/python -m local_stack.jar_locks
