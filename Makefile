# The commands for developers. `make` without a target lists them.
#
#   make demo [N=10000] [FILE=list.csv TEXT='Hello' AT=2027-01-01T09:00:00+08:00]
#             [PROFILE=release|lambda]
#   make demo CAPACITY=1000 [LEARN=1 | FAIR=1]
#   make up [PROFILE=release|lambda] [DB=mysql] [DATABASE_URL=mysql://…] [CARRIER_URL=http://…]
#           [API_PORT=8480] [AUTH=1] [SEND_IN_FLIGHT=500 …]
#   make invoke FN=send [EVENT=infra/events/send.json] [ID=<schedule id>] [BATCH=<n>]
#               [ENGINE=docker | ENGINE=emulator]
#   make start-api [PORT=3000]
#   make admin [NAME=ana]
#   make logs [SCHEDULE=<id> | WEBHOOK=<id> | QUERY=failures|slow-carrier|batches|problems]
#   make test [DB=mysql] [PROFILE=lambda] [AUTH=1]
#   make conformance [SECONDS_MOST=600] [SEED=…] [DB=mysql]
#   make days [ONLY=campaign,reminders,on-call] [SMOKE=1]
#   make clients [STATE=.local FIRST_SCHEDULE=1]
#   make console-test [TESTS=test_send.Send | TESTS=smoke]
#   make bench [ONLY=packed,…] [N=…] [RUNS=3] [DB=mysql] [PROFILE=lambda] [SMOKE=1] [RENEW=1]
#   make chaos [RUNS=…] [SEED=…] [FAULT=…] [DB=mysql]
#   make alarms [RUNS=…] [SEED=…] [FAULT=…] [DB=mysql]
#   make old-code [BASE=v1.2.0] [FULL=1]
#   make preflight | deploy ENV=staging [BUILT=1]
#   make rollback ENV=staging [COMMIT=abc1234]
#   make stop-sending | resume-sending ENV=staging REASON='…'
#   make restored ENV=staging SINCE=2026-11-28T10:00:00Z
#   make settings [ENV=staging] [SET='carrier_parts_per_second=500 log_level=info'] [UNSET=bulk_above]
#
# STATE is the folder of the stack (.local); another folder is another stack. AUTH=1 lets the stack
# evaluate IAM policies: each function has the permissions of its role, and no others. The scripts
# read the variables from the environment.

export PYTHONDONTWRITEBYTECODE = 1
STACK = infra/local/python infra/local/stack.py
RELEASE = infra/local/python infra/local/release.py

.PHONY: help setup up down status logs admin invoke start-api demo test bench alarms chaos security \
  conformance clients days console-test check openapi configuration metrics sqlx old-code lambda preflight deploy rollback \
  stop-sending resume-sending restored settings
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: ## install system packages and the Python environment
	@infra/local/setup

up: ## start the local stack: database, AWS emulator, carrier simulator, API
	@infra/local/setup $(filter mysql,$(DB))
	@$(STACK) up

down: ## stop the local stack and remove all of its data
	@$(STACK) down

status: ## show processes, figures and alarms of the local stack
	@$(STACK) status

logs: ## follow the logs; SCHEDULE=<id>: one schedule's path; QUERY=batches: a saved query
	@$(STACK) logs

admin: ## create an administrator, print username and temporary password
	@$(STACK) admin $(or $(NAME),admin)

invoke: ## invoke a function on the running stack, in a container if Docker runs: FN=send
	@infra/local/python infra/local/invoke.py

start-api: ## serve the API of the running stack with `sam local start-api` (needs Docker)
	@infra/local/python infra/local/start_api.py

demo: up ## send a list, check that each number gets one message; the stack stays up
	@infra/local/demo

test: ## run all tests on MariaDB (DB=mysql: MySQL), then end to end
	@infra/local/test

bench: ## measure the functions against bare loops (RENEW=1: renew docs/performance.md)
	@infra/local/bench

alarms: ## check that each fault of the lab raises its alarms and no others
	@infra/local/alarms

chaos: ## inject faults, compare the carrier's ledger with the database
	@infra/local/chaos

security: ## run the security tests of the API, then check the dependencies
	@infra/local/security

conformance: ## check the API against its description with generated requests
	@infra/local/conformance

days: ## carry out the days of the users of docs/guides on the running stack (SMOKE=1: small)
	@infra/local/days

clients: ## generate a Python and a TypeScript client and check them (FIRST_SCHEDULE=1: use them)
	@infra/local/clients $(if $(FIRST_SCHEDULE),first-schedule)

console-test: ## test the console in a browser, on the running stack (TESTS=smoke: the shortest way)
	@infra/local/console $(TESTS)

check: setup ## check format, clippy, imports, documents, query data, template, dependencies
	@infra/local/check

openapi: ## regenerate docs/openapi.json, the committed API description
	@RENEW_OPENAPI=1 cargo test -q -p api --lib openapi::tests::the_committed_copy

configuration: ## regenerate the table of all variables in docs/configuration.md
	@RENEW_CONFIGURATION=1 cargo test -q -p testkit --test configuration

metrics: ## regenerate the tables of docs/metrics.md and the dashboard from the list of metrics
	@RENEW_METRICS=1 cargo test -q -p testkit --test metrics
	@infra/local/python infra/local/dashboard.py

sqlx: setup ## regenerate .sqlx, the query data
	@infra/local/sqlx

old-code: ## check that the code of BASE works on the tables of now (FULL=1: run its tests)
	@infra/local/old-code $(if $(FULL),full)

lambda: ## build for AWS: target/lambda/<function>/bootstrap
	@infra/local/lambda

preflight: setup ## check the profile ENV of samconfig.toml, and what it names in AWS
	@$(RELEASE) preflight

deploy: setup ## deploy ENV to AWS: preflight, build, migration, canary, smoke test
	@infra/local/setup sam
	@$(RELEASE) deploy

rollback: ## point the functions of ENV at their version before
	@$(RELEASE) rollback

stop-sending: ## stop all sending of ENV at once: REASON='…'
	@$(RELEASE) stop-sending

resume-sending: ## resume the sending of ENV: REASON='…'
	@$(RELEASE) resume-sending

restored: ## after a restore of ENV to SINCE, hold what could have been sent since
	@$(RELEASE) restored

settings: ## show or change the run-time settings of ENV, or of the running stack: SET='…'
	@infra/local/python infra/local/settings.py
