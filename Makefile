# A developer's loop. Everything here is one command that can be typed by hand; see CONTRIBUTING.md.
PYTHON ?= python3
BIN = .venv-test/bin

.PHONY: setup test lint format docs demo screenshots

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

screenshots: setup ## pictures of every page in every state, into build/screenshots
	$(BIN)/python tools/screenshots.py build/screenshots

demo: setup       ## a small course to try
	$(BIN)/mograder demo
