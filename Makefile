# `make demo` and `make test` each set up all they need in .venv; the second time they start at once.
PYTHON ?= python3
BIN := .venv/bin
RECIPES := $(basename $(notdir $(wildcard configs/*.yaml)))

# `make fuzz` tries FUZZ bad inputs, of which `make test` tries the first 200.
FUZZ ?= 1500

.PHONY: demo test fuzz lint readme weights cards clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: .venv/installed  ## Train, test, explore and reload a model of the Pima Indians diabetes table
	$(BIN)/zoo list
	$(BIN)/zoo fit --config mlp_pima
	$(BIN)/zoo test --config runs/mlp_pima
	$(BIN)/zoo explore runs/mlp_pima
	$(BIN)/python -c "import zoo, pandas; print(zoo.load('mlp_pima').predict(pandas.read_csv('datasets/pima/pima.csv')).head())"

test: .venv/installed lint  ## Everything that must pass before a change lands
	$(BIN)/python -m pytest -n 2 --dist worksteal

fuzz: .venv/installed  ## Try bad inputs over all readers and commands, and print a table of outcomes
	$(BIN)/python -m tests.fuzz --count $(FUZZ)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

readme: .venv/installed  ## Write the list of recipes into README.md
	$(BIN)/python -m zoo.listing README.md

weights: .venv/installed $(addprefix weights-,$(RECIPES))  ## Train, cross-validate, test and package every recipe anew

weights-%:
	rm -rf runs/$*
	$(BIN)/zoo fit --config $*
	$(BIN)/zoo crossval --config runs/$* --folds 5 --repeats 3
	$(BIN)/zoo test --config runs/$*
	$(BIN)/zoo export runs/$* --to zoo/pretrained/$*

cards: .venv/installed  ## Write the README.md of every packaged model anew, from its config.json
	$(BIN)/python -c "from zoo.publish import files, write_readme; [write_readme(files.HERE / 'pretrained' / name) for name in files.pretrained()]"

clean:
	rm -rf .venv runs dist
