# The two commands of the README are `make demo` and `make test`; everything is set up in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2# test files that run at the same time
PIP := $(BIN)/python -m pip --disable-pip-version-check
NATIVE := 'cpp/*.[ch]pp' 'cuda/*.[ch]pp' 'cuda/*.cu' 'cuda/*.cuh' 'cuda/*.h' ':!cpp/tests/third_party'
SOURCES := pyproject.toml CMakeLists.txt $(shell find $(wildcard cpp cuda) -name '*.[ch]pp' -o -name '*.cu*' -o -name CMakeLists.txt)

.PHONY: demo test test-cpp test-python test-gpu sanitize-gpu cuda-report lint format bench wheel clean

demo: $(VENV)/.installed ## tune a Keras network on real data by Bayesian, grid and random search
	$(BIN)/python examples/digits.py $(DEMO)

test: test-cpp test-python ## build, then run the C++ and the Python tests

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV) || { echo "make: '$(PYTHON) -m venv' failed; install Python's venv module (Debian: apt-get install python3-venv)"; exit 1; }
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	touch $@

# an editable install without build isolation: Python comes from the tree, the extension is rebuilt when its sources change
$(VENV)/.installed: $(VENV)/.created $(SOURCES)
	$(PIP) install --quiet --group build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --quiet --no-build-isolation --editable '.[examples]'
	touch $@

$(VENV)/.tested: $(VENV)/.installed pyproject.toml
	$(PIP) install --quiet --group test
	touch $@

test-cpp: $(VENV)/.installed
	@if command -v $${CXX:-c++} >/dev/null; then \
	  export PATH="$(CURDIR)/$(BIN):$$PATH"; cmake --preset dev --log-level=WARNING && cmake --build --preset dev && ctest --preset dev; \
	else echo "make: no C++ compiler found: the C++ tests are SKIPPED"; fi

test-python: $(VENV)/.tested
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST)

# Offline: takes what $(PYTHON) has (numpy, scipy, pybind11, scikit-build-core, cmake, ninja, pytest, hypothesis; cupy) and
# leaves it as it is. A test that is skipped has failed.
GPU := build/gpu
GPU_TESTS := KRIGETUNER_EXPECT_CUDA=1 $(GPU)/bin/python -m pytest -m gpu tests/backend $(PYTEST)

# nvcc and compute-sanitizer: the toolkit's installer puts its directory on nobody's PATH
$(GPU)/.installed sanitize-gpu: export PATH := $(PATH):/usr/local/cuda/bin

# by path: beside the interpreter of a virtual environment --system-site-packages would show none of its packages
$(GPU)/.created:
	$(PYTHON) -m venv --without-pip $(GPU)
	$(PYTHON) -c 'import sys; print(*(p for p in sys.path if p.endswith("-packages")), sep="\n")' \
	  >"$$($(GPU)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages.pth"
	touch $@

$(GPU)/.installed: $(GPU)/.created $(SOURCES) $(shell find python -name '*.py')
	KRIGE_CUDA=ON KRIGETUNER_REQUIRE_NATIVE=1 $(PYTHON) -m pip --python $(GPU)/bin/python install --quiet --no-index \
	  --no-build-isolation --no-deps --force-reinstall .
	touch $@

test-gpu: $(GPU)/.installed ## build the CUDA core and test it, on a machine with an NVIDIA GPU
	$(GPU_TESTS)

sanitize-gpu: $(GPU)/.installed ## the same contract under compute-sanitizer
	for tool in memcheck racecheck initcheck; do \
	  KRIGETUNER_EXPECT_CUDA=1 KRIGETUNER_CUDA_POOL=own compute-sanitizer --tool $$tool --error-exitcode 1 --target-processes all \
	    $(GPU)/bin/python -m pytest -m gpu tests/backend/test_cuda.py -k TestCuda || exit 1; \
	done

cuda-report: ## registers, shared memory and spills of the CUDA kernels; needs nvcc, no GPU
	$(PYTHON) bench/core/resources.py

lint: $(VENV)/.installed
	$(PIP) install --quiet --group lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files $(NATIVE))

format: $(VENV)/.installed
	$(PIP) install --quiet --group lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(git ls-files $(NATIVE))

wheel: $(VENV)/.installed
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

bench: $(VENV)/.tested ## ours beside the peers, in one run
	$(BIN)/python bench/run.py

clean:
	rm -rf build dist $(VENV)
