# Two commands: `make demo` shows the main job end to end, `make test` checks the code.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
# One thread per process: on a busy machine more of them slow each other down.
export OMP_NUM_THREADS := 1

.PHONY: demo test test-slow test-cluster clean

demo: .venv/ready
	rm -rf $(DEMO)
	$(BIN)/nars search --data clothing --budget 5 --max-macs 8M --reference-epochs 8 --run $(DEMO)/search
	$(BIN)/nars export best-arch --run $(DEMO)/search -o $(DEMO)/best.yaml
	$(BIN)/nars train $(DEMO)/best.yaml --init $(DEMO)/search/weights/reference.pt -o $(DEMO)/best.pt
	$(BIN)/nars report --run $(DEMO)/search
	# The table of comparison is made on one core while the detector trains on the other, at the rate of
	# a detector: the one found was found for a classifier.
	$(BIN)/python experiments/demo.py $(DEMO) > $(DEMO)/table.txt & \
	$(BIN)/nars detect train $(DEMO)/best.yaml --weights $(DEMO)/best.pt --data digit-scenes \
	-o $(DEMO)/detector --epochs 5 --evaluate-every 5 --optimizer sgd --lr 0.08 --weight-decay 1e-4 --box-samples 32 \
	&& wait $$! && cat $(DEMO)/table.txt
	$(BIN)/nars detect predict $(DEMO)/detector/weights/best.pt digit-scenes -o $(DEMO)/prediction.png \
	> $(DEMO)/predictions.txt
	@echo "and in $(DEMO)/prediction.png what the detector finds in scenes that it has not seen"

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

test-slow: .venv/ready
	$(BIN)/pytest -n 2 -m slow

# Real servers, which the tests start, restart and cut off, and skip where they are missing:
# apt-get install postgresql slurm-wlm munge; pip install '.[ray]'
test-cluster: .venv/ready
	$(BIN)/pytest -n 0 -m cluster

# The stamp is newer than what it was made from, so that an edit of either installs again.
.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv $(DEMO) build *.egg-info
