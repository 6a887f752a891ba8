# make demo · make test · make hil · make test-rp2040 · make fuzz · make bench · make stops · make attacks · make wan
# make scale · make endurance · make wiring · make hazards · make bundle · make sbom · make lint: each installs what it needs first.

PYTHON ?= python3
PORT ?=
UF2 ?=
HIL ?=
BIN := .venv/bin
RECORDING ?=
PAGE ?=
MINUTES ?= 30
PROFILE ?=

.PHONY: demo test hil test-rp2040 fuzz bench stops attacks wan scale endurance wiring hazards bundle sbom lint lock clean

demo: .venv/installed
	$(BIN)/bedside demo $(if $(RECORDING),--recording $(RECORDING))

# What keeps to a clock runs alone; in virtual time it does not matter what else the machine does.
test: .venv/installed
	$(BIN)/pytest -m real_time
	$(BIN)/pytest -n 2 -m "not real_time"
	@PYTHONPATH=tools $(BIN)/python -m cortex_m3.missing || \
	  $(BIN)/bedside hil cortex-m3 --jobs 2 --output build/hil-cortex-m3

# The suite on the board behind PORT, with what HIL says besides, such as HIL="--cell my-arm.toml"; without, on a simulated arm.
hil: .venv/installed
	$(BIN)/bedside hil $(or $(PORT),sim) $(HIL)

# The RP2 parts on the RP2 port of MicroPython itself, in an emulator; UF2 is a file from micropython.org/download/RPI_PICO.
test-rp2040: .venv/installed
	@PYTHONPATH=tools $(BIN)/python -m rp2040 "$(UF2)"

# Ten million frames, in fifty rounds.
fuzz: .venv/installed
	FUZZ_ROUNDS=50 $(BIN)/pytest -v tests/wire/test_fuzz.py

bench: .venv/installed .venv/installed-bench
	PYTHONPATH=tools $(BIN)/python tools/bench/run.py $(if $(PAGE),--page)

# Writes the table of docs/safety.md; fails if a stop is beyond its limits.
stops: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m stops

# Every attack on a running arm, and a million fuzzed datagrams; writes the table of docs/security.md if all hold.
attacks: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m attacks

# Bad networks and outages, beside TLS over TCP (as root) and plain UDP; PROFILE is one network instead of all.
wan: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m wan $(if $(PROFILE),--profile $(PROFILE)) $(if $(RECORDING),--recording $(RECORDING))

# Arms of 1 to 8 boards at 1 kHz; fails if the bridge is late. PAGE=1 writes the table into docs/performance.md.
scale: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m scale $(if $(PAGE),--page)

# The same bridge and eight boards for long: restarts, lost bytes, consoles that come and go. For the night.
endurance: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m scale.endurance --minutes $(MINUTES)

# Writes the pin tables of docs/wiring.md from boards/*.toml.
wiring: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m wiring

# Writes the tables of docs/hazards.md from host/bedside/hil/requirements.toml and the tests.
hazards: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m hazards

# One archive that installs Bedside on a computer of this kind without a network.
bundle: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m bundle

# The bill of materials: all that host and boards are made of, as CycloneDX in build/sbom.cdx.json.
sbom: .venv/installed
	PYTHONPATH=tools $(BIN)/python -m sbom

lint: .venv/installed .venv/typings-esp32 .venv/typings-rp2
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini
	$(BIN)/mypy --config-file firmware/mypy-rp2.ini

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bedside needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/installed-bench: requirements-bench.lock .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# The MicroPython stubs replace the standard library's types, so they stay out of the host's environment.
.venv/typings-esp32 .venv/typings-rp2: .venv/typings-%: requirements-typings-%.lock
	rm -rf $@
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $@ -r $<
	touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
	  --group dev --extra demo --extra flash --extra hil pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
	  --extra demo --extra flash --extra hil -c requirements.lock pyproject.toml -o requirements-run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
	  --group bench -c requirements.lock pyproject.toml -o requirements-bench.lock
	for chip in esp32 rp2; do echo "micropython-$$chip-stubs micropython-stdlib-stubs" | tr ' ' '\n' | \
	  uv pip compile --python-version 3.11 --generate-hashes --no-annotate --no-header -q --no-deps - \
	    -o requirements-typings-$$chip.lock; done

clean:
	rm -rf .venv build
