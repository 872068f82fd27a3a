# make demo: install and make a picture.   make test: install what the tests need and run them.
# make notebooks: the lessons as Jupyter notebooks.
# make gpu: everything that a machine with a GPU can check and measure, with the extra EXTRA=cuda12 or cuda13.

PYTHON ?= python3
BIN := .venv/bin
EXTRA ?= cuda13
# A process a core; the tests of a file share what was made for it.
WORKERS ?= --numprocesses auto --dist loadfile

.PHONY: demo test test-slow lint notebooks gpu clean

demo: .venv/installed
	$(BIN)/scratchnst samples demo
	$(BIN)/scratchnst transfer demo/content.png demo/style.png -o demo/picture.png \
		--network distilled --size 256
	@echo "The picture is demo/picture.png: demo/content.png, painted like demo/style.png."

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -m "not slow" $(WORKERS)

test-slow: .venv/installed-for-tests
	$(BIN)/python -m pytest -m slow $(WORKERS)

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: .venv/installed-for-notebooks
	$(BIN)/scratchnst lesson --notebooks notebooks

gpu: .venv/installed-for-gpu
	PYTHON=$(BIN)/python sh tests/gpu.sh

clean:
	rm -rf .venv demo build *.egg-info

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/installed-for-gpu: .venv/installed-for-tests
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),oracle]'
	@touch $@

.venv/installed-for-notebooks: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[notebooks]'
	@touch $@
