# Everything a fresh machine needs is Python >= 3.11, make and git; the environment is made in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo claims report test fuzz slurm slurm-demo slurm-test environment lock tables dvc.yaml commit-artifacts restore verify

# Every paper that learns in minutes, on speech that serflow synthesises.
PAPERS := config/ems.yaml config/tf-transformer.yaml config/dsnet.yaml config/gemo-clap.yaml

demo: $(BIN)/.ready
	$(BIN)/snakemake --cores all --configfile $(PAPERS)

# results/claims.md: what the tables of all corpora of results/ say of each paper's claims, together.
claims: $(BIN)/.ready
	$(BIN)/serflow claims

# results/report.html: all corpora of results/ that have tables, on one page.
report: $(BIN)/.ready
	$(BIN)/serflow report

test: $(BIN)/.ready
	$(BIN)/python -m pytest --ignore tests/slurm

# What profiles/slurm needs besides. Snakemake asks for SLURM at every start where it is there.
slurm: $(BIN)/.slurm

# FLEA's demo through profiles/slurm, on two nodes that this machine plays; and the tests of it. Both need root and
# Debian's slurm-wlm and munge, or the like, and take away what they start.
slurm-demo: $(BIN)/.slurm
	$(BIN)/python profiles/slurm/two_nodes.py $(BIN)/snakemake --profile profiles/slurm \
		--slurm-init-seconds-before-status-checks 5

slurm-test: $(BIN)/.slurm
	$(BIN)/python -m pytest --numprocesses 0 -r s tests/slurm

# Ten thousand generated configurations, overlays, tables and audio files instead of the gate's few hundred.
fuzz: $(BIN)/.ready
	$(BIN)/python -m pytest tests/faults/test_fuzz.py --hypothesis-profile fuzz

environment: $(BIN)/.ready

# DVC: config/corpora.yaml says whose tables. Its stages call snakemake, which must be found.
export PATH := $(CURDIR)/$(BIN):$(PATH)

tables: dvc.yaml
	dvc repro

dvc.yaml: $(BIN)/.ready
	serflow plan

# What Snakemake alone has made, on a cluster say, becomes what dvc repro would have made.
commit-artifacts: $(BIN)/.ready
	serflow commit

# In a fresh clone: every artifact from the remote, and both tools find nothing to do.
restore: $(BIN)/.ready
	serflow restore

# Whether the files of DVC's cache are still what their names say.
verify: $(BIN)/.ready
	serflow verify

$(BIN)/.ready: envs/lock.txt envs/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "serflow needs Python 3.11 to 3.13: make PYTHON=<one>")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.txt
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --compile-bytecode --requirement envs/lock.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(BIN)/.slurm: $(BIN)/.ready envs/slurm.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes --requirement envs/slurm.txt
	touch $@

# After a change of pyproject.toml. Locks carry hashes and name no registry.
LOCKED := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --quiet
lock:
	$(LOCKED) pyproject.toml --group test --group build --output-file envs/lock.txt
	echo snakemake-executor-plugin-slurm | $(LOCKED) - --constraints envs/lock.txt --output-file envs/slurm.txt
	echo uv | $(LOCKED) - --output-file envs/uv.txt
