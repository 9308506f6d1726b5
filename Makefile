# make import   sets up what is missing, imports EVENTS and shows the numbers
# make serve    shows DB (yours, or else the sample's) in a web browser (PORT=8001)
# make test     sets up what tests need and runs them, of those that take long a part of their cases
# make faults   runs all cases, and injects every fault of the matrix into every import
# make bench    measures ours against others' programs: SIZE=1GB RUNS=5 CASES="selective gz",
#               README=1 (writes its table), GROWTH=1 SIZES="100MB 1GB" (time and memory by size),
#               PLAN=1 (what more than one machine would need)
SHELL = /bin/bash

SAMPLE = data/sample/events.jsonl.gz
EVENTS = $(SAMPLE)
# The sample has a database of its own, so that yours begins with your events and your time zone.
DB = $(if $(filter $(SAMPLE),$(EVENTS)),data/sample.db,data/headcount.db)
SERVED = $(if $(filter file,$(origin DB)),$(firstword $(wildcard data/headcount.db) data/sample.db),$(DB))
TZ_NAME = America/Chicago
PORT = 8001

bash_files = $(shell grep -lE '^\#!.*bash|shellcheck shell=bash' bin/* lib/* .ci/run 2>/dev/null) $(wildcard tests/*.bats tests/*.bash) tests/bench/peers/jq_count
python_files = lib tests $(shell grep -lE '^\#!.*lib/python' bin/*)

# What needs Spark is tested where there is a Java for it.
spark = $(if $(JAVA_HOME)$(shell command -v java),.venv/spark)

.PHONY: set-up import serve test faults bench lint fmt docs accept lock clean

set-up: .venv/runtime

.venv/runtime: requirements.lock
	@lib/set-up runtime

.venv/parquet: .venv/runtime
	@lib/set-up parquet

.venv/avro: .venv/runtime
	@lib/set-up avro

.venv/bots: .venv/runtime
	@lib/set-up bots

.venv/charts: .venv/runtime
	@lib/set-up charts

.venv/sketch: .venv/runtime
	@lib/set-up sketch

.venv/spark: .venv/runtime
	@lib/set-up spark

.venv/postgres: .venv/runtime
	@lib/set-up postgres

.venv/serve: .venv/runtime
	@lib/set-up serve

.venv/test: .venv/runtime
	@lib/set-up test

.bench/venv/bench: requirements.lock
	@lib/set-up bench

# Exit 65: imported, but some lines were rejected; the import has said which.
import: .venv/runtime
	bin/import-active-users --db "$(DB)" --tz "$(TZ_NAME)" $(EVENTS) || [ $$? = 65 ]
	bin/show-report --db "$(DB)" active_users
	bin/show-report --db "$(DB)" active_users --format chart

serve: .venv/serve
	bin/serve-db --db "$(SERVED)" --port $(PORT)

test: lint .venv/parquet .venv/avro .venv/bots .venv/charts .venv/serve .venv/sketch .venv/postgres $(spark) .bench/venv/bench
	@rm -rf .bench/bats && mkdir -p .bench/bats
	.venv/bin/python tests/helpers/signals.py .venv/bin/bats --report-formatter tap --output .bench/bats tests
	.venv/bin/python -m pytest -n auto --dist worksteal
	@sed -n 's/^ok [0-9]* \(.*\) # skip/SKIPPED \1:/p' .bench/bats/report.tap

faults: .venv/test .venv/parquet .venv/avro .venv/bots .venv/charts .venv/serve .venv/sketch .venv/postgres $(spark) .bench/venv/bench
	FAULTS=all .venv/bin/python -m pytest -n auto --dist worksteal

bench: .venv/runtime .bench/venv/bench
	PYTHONPATH=tests .venv/bin/python -m bench $(if $(SIZE),--size $(SIZE)) $(if $(RUNS),--runs $(RUNS)) \
		$(if $(CASES),--cases $(CASES)) $(if $(README),--readme) $(if $(GROWTH),--growth) \
		$(if $(PLAN),--plan) $(if $(SIZES),--sizes $(SIZES))

lint: .venv/test
	.venv/bin/ruff check --quiet $(python_files)
	.venv/bin/ruff format --quiet --check $(python_files)
	.venv/bin/shellcheck --external-sources --source-path=. $(bash_files)
	.venv/bin/shfmt --diff $(bash_files)

fmt: .venv/test
	.venv/bin/ruff check --quiet --fix $(python_files)
	.venv/bin/ruff format --quiet $(python_files)
	.venv/bin/shfmt --write $(bash_files)

# Both rewrite files for a person to read with `git diff`.
docs: .venv/test
	PYTHONPATH=tests .venv/bin/python -m helpers.docs

accept: .venv/test
	.venv/bin/python -m pytest tests/contract/test_cases.py --accept

lock:
	lib/make-lock

clean:
	rm -rf .venv .bench
