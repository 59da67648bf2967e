# What a developer types. `make` alone says what there is.
#
#   make demo [N=10000] [FILE=list.csv TEXT='Hello' AT=2027-01-01T09:00:00+08:00] [PROFILE=release]
#   make up [PROFILE=release] [DB=mysql] [DATABASE_URL=mysql://…] [CARRIER_URL=http://…] [API_PORT=8480] [SEND_IN_FLIGHT=5 …]
#   make admin [NAME=ana]
#   make test [DB=mysql]
#   make conformance [SECONDS_MOST=600] [SEED=…] [DB=mysql]
#   make chaos [RUNS=…] [SEED=…] [FAULT=…] [DB=mysql]
#
# STATE names the folder of a second stack; variables given to make reach the scripts through the environment.

export PYTHONDONTWRITEBYTECODE = 1
STACK = infra/local/python infra/local/stack.py

.PHONY: help setup up down status logs admin demo test chaos security conformance check openapi sqlx lambda deploy
help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## install what the local stack needs: system packages, a Python environment
	@infra/local/setup

up: ## start database, AWS emulator, carrier simulator; build, deploy, migrate; API on a fixed port
	@infra/local/setup $(filter mysql,$(DB))
	@$(STACK) up

down: ## end all that `up` started and remove all that it made, data included
	@$(STACK) down

status: ## what runs
	@$(STACK) status

logs: ## follow what the functions print
	@$(STACK) logs

admin: ## make a person admin of the running stack: prints username and temporary password
	@$(STACK) admin $(or $(NAME),admin)

demo: up ## post a list, watch it go out, prove that every number got it once; leaves the stack up
	@infra/local/demo

test: ## all tests on MariaDB (DB=mysql: on MySQL), then end to end on a stack of their own
	@infra/local/test

chaos: ## inject faults into the functions, hold the ledger against the database; on a stack of its own
	@infra/local/chaos

security: ## attack the API: tokens, roles, limits, and every route; on a stack of its own, then the dependencies
	@infra/local/security

conformance: ## hold the API against its own description with made-up requests (schemathesis); on a stack of its own
	@infra/local/conformance

check: setup ## what CI checks beside the tests: format, clippy, query data, template, dependencies
	@infra/local/check

openapi: ## renew docs/openapi.json, the committed copy of what the API says of itself
	@RENEW_OPENAPI=1 cargo test -q -p api --lib openapi::tests::the_committed_copy

sqlx: setup ## regenerate .sqlx, the query data, after a change of a query or a table
	@infra/local/sqlx

lambda: ## build for AWS: target/lambda/<function>/bootstrap
	@infra/local/lambda

deploy: lambda ## deploy to AWS what samconfig.toml says under the name ENV (prod)
	@infra/local/sam-deploy $(or $(ENV),prod)
