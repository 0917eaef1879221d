# Each target is a thin line over the `payments` command or one tool. `make help` lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin
PAYMENTS := $(BIN)/payments
# Without this line, a container with this variable would compile all modules again at each start.
unexport PYTHONDONTWRITEBYTECODE
# The locks have hashes, and no address of a registry.
RESOLVE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-header --no-emit-index-url --no-emit-find-links --quiet --upgrade

# The events of `make gateway-simulator` without ARGS: most are good, and some of each kind are bad.
TRAFFIC := --events 3000 --duplicates 0.05 --malformed 0.02 --bad-signature 0.02 --altered 0.005

# Licences that demand the source code of a service, or forbid to offer the software as a service.
UNWANTED_LICENSES := AGPL;Affero;SSPL;Server Side Public;Business Source;Commons Clause;Elastic

# Generated files and the provider's public examples hold no credentials, only hashes and ids.
SCANNED := . ':!tests/replay/histories' ':!tests/providers/*.json' ':!infrastructure/locks' \
	':!*stripe_objects.json' ':!*.jars.toml'

# The profile of the Kubernetes charts: dev or production. `check` and `setup` look at a cluster only if
# it is given.
CLUSTER := $(PAYMENTS) cluster
FOR_PROFILE = --profile $(or $(PROFILE),dev)

.PHONY: help setup check pipeline-up pipeline-down orchestrator-up pipeline-status pipeline-logs migrate \
	deploy destroy status polaris-status polaris-logs port-forward-start port-forward-stop \
	port-forward-status restart-dagster restart-trino restart-polaris restart-all test-cluster \
	gateway-simulator audit test test-unit lint secret-scan bench chaos lock setup-superset \
	lakehouse-up dashboards-up demo dbt-docs audit-dependencies sbom licenses fuzz \
	images compose-up compose-down compose-logs compose-simulator compose-payments \
	compose-starts test-compose

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv, if the locked packages changed; PROFILE=dev sets up a cluster
	@infrastructure/local/setup
	@$(if $(PROFILE),$(CLUSTER) setup $(FOR_PROFILE))

check: ## Check this machine, or with PROFILE=dev the cluster of KUBECONFIG
	@infrastructure/local/setup
	@$(if $(PROFILE),$(CLUSTER) check $(FOR_PROFILE),$(PAYMENTS) doctor)

pipeline-up: setup ## Start the pipeline and wait until it is ready
	@$(PAYMENTS) up

pipeline-down: setup ## Stop every component; the data stays in var/
	@$(PAYMENTS) down

orchestrator-up: setup ## Start inference, dispatcher, worker and their stores
	@$(PAYMENTS) up --only inference,dispatcher,worker

lakehouse-up: setup ## Start the pipeline, S3, Iceberg, Trino and Dagster
	@$(PAYMENTS) up --with lakehouse

dashboards-up: setup setup-superset ## Start the pipeline, the lakehouse and Superset
	@$(PAYMENTS) up --with lakehouse,dashboards

demo: setup setup-superset ## Start everything, send events, build marts, audit
	@$(PAYMENTS) demo $(ARGS)

setup-superset: setup # Make .venv-superset (700 MB) from its locked packages, if they changed
	@infrastructure/local/setup-beside superset

pipeline-status: setup ## Show the native stack: each component and its address
	@$(PAYMENTS) status

pipeline-logs: setup ## Show the native stack's logs; ARGS="gateway --follow"
	@$(PAYMENTS) logs $(ARGS)

deploy: setup ## Deploy to Kubernetes; PROFILE=dev or production, ARGS="--values my.yaml"
	@$(CLUSTER) setup $(FOR_PROFILE)
	@$(CLUSTER) deploy $(FOR_PROFILE) $(ARGS)

destroy: setup ## Remove the namespace lakehouse with its data; asks first
	@$(CLUSTER) destroy $(ARGS)

status: setup ## Show the workloads on Kubernetes, and which are not ready
	@$(CLUSTER) status

polaris-status: setup ## Show the catalog on Kubernetes
	@$(CLUSTER) status polaris

polaris-logs: setup ## Show the catalog's logs on Kubernetes; ARGS="-n 500"
	@$(CLUSTER) logs polaris $(ARGS)

port-forward-start: setup ## Forward loopback to the gateway and the UIs on Kubernetes
	@$(CLUSTER) port-forward start

port-forward-stop: setup ## Stop forwarding
	@$(CLUSTER) port-forward stop

port-forward-status: setup ## Show the forwarded addresses
	@$(CLUSTER) port-forward status

restart-dagster restart-trino restart-polaris: restart-%: setup # Restart one workload on Kubernetes
	@$(CLUSTER) restart $*

restart-all: setup ## Restart our services on Kubernetes, pod by pod (or restart-dagster|trino|polaris)
	@$(CLUSTER) restart

test-cluster: setup ## Run the tests on Kubernetes; skipped without a cluster
	@$(BIN)/pytest -q -n0 tests/cluster $(ARGS)

migrate: setup ## Update the schema, topics and search attributes
	@$(PAYMENTS) migrate

gateway-simulator: setup ## Send signed events; ARGS="--events 100 --seed 7"
	@$(PAYMENTS) simulate $(or $(ARGS),$(TRAFFIC))

audit: setup ## Prove that each event has exactly one destination
	@$(PAYMENTS) audit $(ARGS)

test: setup setup-superset ## Run every test; ARGS="-k ledger" chooses some
	@$(BIN)/pytest --numprocesses auto -m "not containers" $(ARGS)

test-unit: setup ## Run the tests that need no real components
	@$(BIN)/pytest -q --numprocesses auto -m "not stack and not slow" \
		tests/unit tests/providers tests/replay tests/architecture $(ARGS)

lint: setup secret-scan ## Check style, types, imports, architecture and secrets
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/uv pip check --quiet --python $(BIN)/python
	$(BIN)/pytest -q tests/architecture

secret-scan: setup # Search the tracked files for credentials
	@git ls-files -z -- $(SCANNED) | xargs -0 $(BIN)/detect-secrets-hook --cores 2 \
		--disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString \
		--disable-plugin KeywordDetector --exclude-secrets '^(password|pw|p%2Fw)$$'

images: ## Build the images with docker or podman; their bills of materials go to dist/sbom
	@infrastructure/images/build $(ARGS)

compose-up: setup images ## Start the pipeline in Docker Compose; WITH="dashboards observability" adds
	@infrastructure/compose/compose up

compose-down: ## Stop Docker Compose's containers; ARGS=--volumes deletes the data
	@infrastructure/compose/compose down $(ARGS)

compose-logs: ## Show the containers' logs; ARGS="gateway --follow"
	@infrastructure/compose/compose logs $(or $(ARGS),--tail 20)

compose-simulator: setup ## Send signed events to Compose's gateway; ARGS="--events 100"
	@infrastructure/compose/compose simulate $(or $(ARGS),$(TRAFFIC))

compose-payments: ## Run a payments command in a container; ARGS="audit --through bronze"
	@infrastructure/compose/compose payments $(or $(ARGS),--help)

compose-starts: setup ## Measure the start of each service's container; needs compose-up
	@PYTHONPATH=tests $(BIN)/python -m bench.container_starts

test-compose: setup ## Start everything in Docker Compose, send events, audit, ask a dashboard
	@$(BIN)/pytest -q -o log_cli=true -o log_cli_level=INFO tests/compose $(ARGS)

dbt-docs: setup ## Write var/dbt/command/static_index.html
	@$(PAYMENTS) dbt docs generate --static $(ARGS)

bench: setup ## Measure each stage into var/bench.json; ARGS=gateway
	@PYTHONPATH=tests $(BIN)/python -m bench.run $(ARGS)

chaos: setup setup-superset ## Run the drills; ARGS="kills --rounds 20"
	@PYTHONPATH=tests $(BIN)/python -m drills.run $(ARGS)

fuzz: setup ## Try random webhooks; ARGS="--seconds 3600"
	@PYTHONPATH=tests $(BIN)/python -m fuzz.run $(ARGS)

audit-dependencies: setup ## Ask osv.dev for vulnerabilities of the packages
	@infrastructure/local/audit-dependencies

sbom: setup setup-superset ## Write bills of materials (CycloneDX) to dist/sbom
	@infrastructure/local/setup-beside sbom
	@mkdir -p dist/sbom
	@for environment in .venv .venv-superset; do \
		.venv-sbom/bin/cyclonedx-py environment $$environment --output-reproducible --output-format JSON \
			--output-file dist/sbom/$${environment#.}.cdx.json || exit 1; done
	@$(BIN)/python -m local_stack.jar_sbom dist/sbom/jars.cdx.json
	@ls dist/sbom/*

licenses: setup setup-superset ## Write dist/licenses; fails on a forbidden licence
	@mkdir -p dist/licenses
	@for environment in .venv .venv-superset; do \
		$(BIN)/pip-licenses --python $$environment/bin/python --format=markdown --with-urls \
			--ignore-packages payment-pipeline --partial-match --fail-on="$(UNWANTED_LICENSES)" \
			--output-file=dist/licenses/$${environment#.}.md || exit 1; done

lock: setup ## Resolve packages and jars again; writes the locks
	$(RESOLVE) pyproject.toml --all-extras --output-file infrastructure/locks/requirements.txt
	$(RESOLVE) pyproject.toml --constraint infrastructure/locks/requirements.txt --output-file infrastructure/locks/pipeline.txt
	$(RESOLVE) pyproject.toml --constraint infrastructure/locks/requirements.txt --extra lakehouse --extra run-pods --output-file infrastructure/locks/dagster.txt
	$(RESOLVE) infrastructure/locks/build.in --constraint infrastructure/locks/requirements.txt --output-file infrastructure/locks/build.txt
	for lock in superset sbom; do \
		$(RESOLVE) infrastructure/locks/$$lock.in --output-file infrastructure/locks/$$lock.txt || exit 1; done
	$(BIN)/python -m local_stack.jar_locks
