# The targets below are all that a developer or CI needs. `make` alone lists them.

# Without bytecode on disk, each start of a server compiles all modules: twice the CPU time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest -q -n 4 --dist worksteal
CHECK = PYTHONPATH=.:wal:tools $(BIN)/python -m
# How long a check runs, and from which seed: make simulate SEED=17 SECONDS=60
LENGTH = $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))
PROGRAM_OPTION = $(if $(PROGRAM),--program $(PROGRAM))
SERVE = .venv/serve
READY = .venv/ready
RELEASE = .venv/release
COMPILED = build/compiled
PLAIN = build/plain
ADDRESS = build/address
CONFIG = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("$(1)"))')
PARTS = .ci Makefile setup.cfg setup.py pyproject.toml README.md CHANGELOG.md CONTRIBUTING.md \
	LICENSE MANIFEST.in Dockerfile .dockerignore beanstalkd_py wal tools tests docs deploy debian \
	monitoring

.PHONY: help
help:               ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 13

.PHONY: serve
serve: $(SERVE)     ## run the server on 127.0.0.1:11300, with its jobs in ./beanstalk
	@mkdir -p beanstalk
	exec $(BIN)/beanstalkd-py -l 127.0.0.1 -p 11300 -b beanstalk --http 127.0.0.1:11380

.PHONY: test
test: lint          ## lint, then run all tests (four at once, because many of them wait)
	$(PYTEST)

.PHONY: quick
quick: $(READY)     ## run the tests of the log, the queue, the protocol and the binlog: no server
	$(PYTEST) tests/wal tests/queue $(wildcard tests/protocol) tests/binlog tests/wire/test_engine.py

.PHONY: compiled
compiled:           ## compile a copy of this tree in build/compiled; the wheel is in dist
	@mkdir -p $(COMPILED) && cd $(COMPILED) && rm -rf $(PARTS) build *.so
	tar -c --exclude=__pycache__ --exclude='*.so' $(PARTS) | tar -x -C $(COMPILED)
	$(MAKE) --no-print-directory -C $(COMPILED) wheel
	@mkdir -p dist && cp $(COMPILED)/dist/*.whl dist/

.PHONY: testcompiled
testcompiled: compiled## run the tests on the compiled modules, except `sources` and `browser`
	cd $(COMPILED) && $(PYTEST) -m 'not sources and not browser'

.PHONY: testplain
testplain: $(READY) ## run the tests on a copy of this tree without the C extension, in build/plain
	@mkdir -p $(PLAIN) && cd $(PLAIN) && rm -rf $(PARTS)
	tar -c --exclude=__pycache__ --exclude='*.so' $(PARTS) | tar -x -C $(PLAIN)
	cd $(PLAIN) && ../../$(PYTEST) -m 'not browser'

.PHONY: testaddress
testaddress: $(READY)## run the tests of the sockets on the C extension with the address sanitizer
	@mkdir -p $(ADDRESS) && cd $(ADDRESS) && rm -rf $(PARTS)
	tar -c --exclude=__pycache__ --exclude='*.so' $(PARTS) | tar -x -C $(ADDRESS)
	cc -shared -fPIC -O1 -g -Wall -Wextra -Werror -fsanitize=address -I$(call CONFIG,INCLUDEPY) \
		beanstalkd_py/server/_batchedio.c \
		-o $(ADDRESS)/beanstalkd_py/server/_batchedio$(call CONFIG,EXT_SUFFIX)
	cd $(ADDRESS) && LD_PRELOAD=$$(cc -print-file-name=libasan.so) PYTHONMALLOC=malloc \
		ASAN_OPTIONS=detect_leaks=0 ../../$(PYTEST) tests/server/test_batchedio.py \
		tests/tools/fuzz/test_fuzz_batchedio.py \
		tests/server/test_connection_*.py tests/server/test_server_closing.py \
		tests/server/test_server_order.py -k 'not bounded_memory'

.PHONY: wheel
wheel: $(READY) # in the copy, by `make compiled`
	rm -rf dist && BEANSTALKD_COMPILED=1 $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/pip install --quiet --no-deps --force-reinstall dist/*.whl
	$(BIN)/python -m zipfile -e dist/*.whl dist/whole
	cp -r dist/whole/beanstalkd_py dist/whole/*.so .
	cp -r dist/whole/beanstalkd_wal wal/

.PHONY: screenshots
screenshots: $(READY)## take the pictures of docs/console again (needs chromium and pngquant)
	PYTHONPATH=.:wal:tools $(BIN)/python -m screenshots

.PHONY: lint
lint: $(READY)      ## check the format, the style and the types: ruff and mypy
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy beanstalkd_py wal tools

# The checks. Each line says what the check finds; tools/prove/checks.py has the list.
# SEED= and SECONDS= are the first seed and the time; PROGRAM= is a server to test in place of the
# installed one; ARGUMENTS= adds options: make bench ARGUMENTS='--quick --only put-*'.
# A failed check prints the command that repeats the failure.

.PHONY: simulate
simulate: $(READY)  ## lost or reordered work: the server on simulated disk, clocks and clients
	$(CHECK) simulation $(LENGTH)

.PHONY: crashpoints
crashpoints: $(READY)## a call to the disk at which a power cut breaks a promise of the log
	$(CHECK) simulation.crashpoints $(LENGTH)

.PHONY: iofaults
iofaults: $(READY)  ## a call to the disk whose failure breaks a promise: EIO, full disk, ...
	$(CHECK) simulation.iofaults $(LENGTH)

.PHONY: model
model: $(READY)     ## a rule of the queue that differs from a naive model's (hypothesis)
	$(CHECK) model $(LENGTH)

.PHONY: fuzz
fuzz: $(READY)      ## a parser or file reader that malformed input breaks (ONLY=parser, ...)
	$(CHECK) fuzz $(LENGTH) $(if $(ONLY),--only $(ONLY))

.PHONY: killtest
killtest: $(READY)  ## a job that the installed server loses when it is killed (ROUNDS=)
	$(CHECK) killtest $(LENGTH) $(if $(ROUNDS),--rounds $(ROUNDS)) $(PROGRAM_OPTION)

.PHONY: load
load: $(READY)      ## what does not scale to thousands of connections, and memory not given back
	$(CHECK) load $(LENGTH) $(PROGRAM_OPTION)

.PHONY: judge
judge: $(READY)     ## a reply that differs from the C server's (needs beanstalkd and a C compiler)
	$(CHECK) judge $(LENGTH)

.PHONY: mutants
mutants: $(READY)   ## an invariant that no test watches: each is broken on purpose in a copy
	$(CHECK) mutants $(LENGTH) $(ARGUMENTS)

.PHONY: bench
bench: $(READY)     ## what became slower: speed and memory beside the C server
	$(CHECK) bench $(ARGUMENTS)

.PHONY: prove
prove: $(READY)     ## all checks except bench, about an hour (MINUTES= ARGUMENTS=)
	$(CHECK) prove $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGUMENTS)

# A release. All of it is built in dist and tried there; CONTRIBUTING.md has the steps around it.

.PHONY: release
release: $(RELEASE) ## build and try all of a release in dist (Debian, as root), about 15 minutes
	PYTHONPATH=.:wal:tools $(BIN)/python -m release

.PHONY: wheels
wheels: $(RELEASE)  ## build the source distribution, a compiled wheel and a pure one in dist
	PYTHONPATH=.:wal:tools $(BIN)/python -m release wheels

.PHONY: debian
debian: $(RELEASE)  ## build the Debian package in dist, and try it in a clean root (as root)
	PYTHONPATH=.:wal:tools $(BIN)/python -m release debian

.PHONY: clean
clean:              ## remove all that was built and installed here; the jobs of `make serve` stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f beanstalkd_py/server/*.so

# The virtual environment is made in two steps: what the server needs, and what developers need.
# Each step runs again when the description of the package or its extension has changed.
BUILD = setup.cfg setup.py pyproject.toml beanstalkd_py/server/_batchedio.c
SAY_IF_PLAIN = $(BIN)/beanstalkd-py -v | grep -q 'I/O: in C' || \
	echo 'The extension for batched socket I/O was not built: this needs cc and Python.h.' >&2
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'Python 3.10 or newer is needed: make PYTHON=python3.x' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo 'The venv module is missing (Debian: apt-get install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(SERVE): $(BUILD) | $(BIN)/pip
	$(BIN)/pip install --quiet --editable .
	@$(SAY_IF_PLAIN)
	@touch $@

$(READY): $(BUILD) | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[test]'
	@$(SAY_IF_PLAIN)
	@touch $(SERVE) $@

$(RELEASE): $(BUILD) | $(READY)
	$(BIN)/pip install --quiet --editable '.[release]'
	@touch $@
