# make demo: install and make a picture.   make test: install what the tests need and run them.
# make notebooks: the lessons as Jupyter notebooks.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint notebooks clean

demo: .venv/installed
	$(BIN)/scratchnst samples demo
	$(BIN)/scratchnst transfer demo/content.png demo/style.png -o demo/picture.png \
		--network distilled --size 256 --iterations 150
	@echo "The picture is demo/picture.png: demo/content.png, painted like demo/style.png."

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed-for-tests
	$(BIN)/python -m pytest -m slow

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: .venv/installed-for-notebooks
	$(BIN)/scratchnst lesson --notebooks notebooks

clean:
	rm -rf .venv demo build *.egg-info

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/installed-for-notebooks: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[notebooks]'
	@touch $@
