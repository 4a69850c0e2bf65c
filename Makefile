# The targets below are all that a developer or CI needs. `make` alone lists them.

PYTHON ?= python3
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest -q -n 4 --dist worksteal
CHECK = PYTHONPATH=.:wal:tools $(BIN)/python -m
# How long a check runs, and from which seed: make simulate SEED=17 SECONDS=60
LENGTH = $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))
SERVE = .venv/serve
READY = .venv/ready
COMPILED = build/compiled
PARTS = Makefile setup.cfg setup.py pyproject.toml README.md CHANGELOG.md CONTRIBUTING.md LICENSE \
	beanstalkd_py wal tools tests docs

.PHONY: help
help:             ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 13

.PHONY: serve
serve: $(SERVE)   ## run the server on 127.0.0.1:11300, with its jobs in ./beanstalk
	@mkdir -p beanstalk
	exec $(BIN)/beanstalkd-py -l 127.0.0.1 -p 11300 -b beanstalk

.PHONY: test
test: lint        ## lint, then run all tests (four at once, because many of them wait)
	$(PYTEST)

.PHONY: quick
quick: $(READY)   ## run the tests of the log, the queue, the protocol and the binlog: no server
	$(PYTEST) tests/wal tests/queue $(wildcard tests/protocol) tests/binlog tests/wire/test_engine.py

.PHONY: compiled
compiled:         ## copy this tree to build/compiled, compile it with mypyc, put the wheel in dist
	@mkdir -p $(COMPILED) && cd $(COMPILED) && rm -rf $(PARTS) build *.so
	tar -c --exclude=__pycache__ $(PARTS) | tar -x -C $(COMPILED)
	$(MAKE) --no-print-directory -C $(COMPILED) wheel
	@mkdir -p dist && cp $(COMPILED)/dist/*.whl dist/

.PHONY: testcompiled
testcompiled: compiled ## run the tests on the compiled modules, except those marked `sources`
	cd $(COMPILED) && $(PYTEST) -m 'not sources'

.PHONY: wheel
wheel: $(READY)
	rm -rf dist && BEANSTALKD_COMPILED=1 $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/pip install --quiet --no-deps --force-reinstall dist/*.whl
	$(BIN)/python -m zipfile -e dist/*.whl dist/whole && cp -r dist/whole/beanstalkd_py dist/whole/*.so . && cp -r dist/whole/beanstalkd_wal wal/

.PHONY: lint
lint: $(READY)    ## check the format, the style and the types: ruff and mypy
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy beanstalkd_py wal tools

.PHONY: model
model: $(READY) ## play the engine against the naive server, with hypothesis
	$(CHECK) model $(LENGTH)

.PHONY: judge
judge: $(READY) ## play random commands to the C server as well, and compare every byte (SEED= SECONDS=; needs beanstalkd and cc)
	$(CHECK) judge $(LENGTH)

.PHONY: fuzz
fuzz: $(READY)  ## bytes that nobody sane sends or writes, to every reader of bytes (SEED= SECONDS= ONLY=parser, segments, commands, cfiles, daemon)
	$(CHECK) fuzz $(LENGTH) $(if $(ONLY),--only $(ONLY))

.PHONY: simulate
simulate: $(READY) ## live through whole worlds: server, disk, clocks and crashes out of one seed
	$(CHECK) simulation $(LENGTH)

.PHONY: crashpoints
crashpoints: $(READY) ## let the power fail at every call that the log makes to a disk in memory, and recover
	$(CHECK) simulation.crashpoints $(LENGTH)

.PHONY: iofaults
iofaults: $(READY) ## let each of these calls fail in turn, with EIO, on a full disk, without descriptors; and recover
	$(CHECK) simulation.iofaults $(LENGTH)

.PHONY: bench
bench: $(READY) ## measure, beside the C server; make bench ARGUMENTS='--quick --only put-*' (or --help)
	$(CHECK) bench $(ARGUMENTS)

.PHONY: killtest
killtest: $(READY) ## kill the installed daemon again and again, and ask for every job (SEED= SECONDS= ROUNDS=200 PROGRAM=)
	$(CHECK) killtest $(LENGTH) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PROGRAM),--program $(PROGRAM))

.PHONY: load
load: $(READY)  ## thousands of connections, slow and half-open ones, storms; memory after millions of jobs (SEED= SECONDS= PROGRAM=)
	$(CHECK) load $(LENGTH) $(if $(PROGRAM),--program $(PROGRAM))

.PHONY: mutants
mutants: $(READY) ## break each law on purpose, in a copy: somebody must notice; make mutants ARGUMENTS='--first --only reply-*' (or --help)
	$(CHECK) mutants $(LENGTH) $(ARGUMENTS)

.PHONY: prove
prove: $(READY) ## the long form of every rung, an hour on two cores (MINUTES=60 SEED= ARGUMENTS='--only simulation crash')
	$(CHECK) prove $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGUMENTS)

.PHONY: clean
clean:          ## remove what was made, but never jobs
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The virtual environment is made in two steps: what the server needs, and what developers need.
# Each step runs again when the description of the package has changed.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.x")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo 'The venv module is missing (Debian: apt-get install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(SERVE): setup.cfg pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(READY): setup.cfg pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $(SERVE) $@
