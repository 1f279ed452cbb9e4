# A developer's loop. Everything here is one command that can be typed by hand; see CONTRIBUTING.md.
PYTHON ?= python3
BIN = .venv-test/bin

.PHONY: setup test lint format docs mutants demo screenshots

setup:            ## make or bring up to date the virtual environments
	$(PYTHON) tools/test.py --setup

test:             ## every check; ARGS go to pytest: make test ARGS="-k receipt"
	$(PYTHON) tools/test.py $(ARGS)

lint: setup       ## the checks without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup     ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup       ## write docs/reference from the code
	$(BIN)/python tools/reference.py

screenshots: setup ## pictures of every page in every state, into build/screenshots, and those of the README
	$(BIN)/python tools/screenshots.py build/screenshots
	$(BIN)/python tools/screenshots.py --readme

mutants: setup    ## changes that no test notices in domain/ and store/: hours; ARGS choose, as "mograder.store.shared*"
	$(BIN)/python -m pip install -q --group mutants
	nice -n 19 $(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results | sed '/: not checked$$/d'

demo: setup       ## a small course to try
	$(BIN)/mograder demo
