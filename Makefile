# `make book` and `make test` are all that is needed; `make help` lists the rest.
START := $(shell date +%s)
J ?=
CHAPTERS ?=
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONNOUSERSITE := 1
TOOK = $$(( $$(date +%s) - $(START) )) s
JOBS = $(if $(J),-j $(J))

.DEFAULT_GOAL := help
.PHONY: help setup book html pdf test test-slurm lint smoke lab run bench lock clean distclean

help: ## list these commands
	@echo "make COMMAND, where COMMAND is one of"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo "Options: J=4 (so many at a time), PYTHON=python3.12 (to make .venv with)"

setup: ## make .venv with all that requirements.lock lists
	@tools/setup.sh

book: setup ## execute every chapter that has changed, then render the site
	@python -m companion.batch build $(JOBS)
	@python tools/render.py --executed
	@echo "The book is at _build/html/index.html ($(TOOK))"

html: setup ## render the site from the committed outputs, without executing anything
	@python tools/render.py
	@echo "The book is at _build/html/index.html ($(TOOK))"

pdf: html ## print the rendered site as one PDF, _build/book.pdf (needs Chromium)
	@python tools/pdf.py

test: ## everything that is checked: style, types, unit tests, all notebooks, the site
	@tools/setup.sh --browser
	@$(MAKE) --no-print-directory lint
	@OMP_NUM_THREADS=1 pytest -n $(if $(J),$(J),logical) --maxprocesses 8 --dist loadfile; status=$$?; \
	command -v chromium >/dev/null || echo "NOT TESTED: pages in a browser, because Chromium is missing"; \
	echo "Took $(TOOK)"; exit $$status

test-slurm: setup ## sweeps on a real SLURM of one node; as root, with slurmctld, slurmd and munge from Debian
	@unshare -n sh -c 'ip link set lo up && ip address add 10.99.0.1/32 dev lo && pytest tests/with_slurm.py'

lint: setup ## style of code and notebooks, types, and which package imports which
	@ruff check --quiet .
	@ruff format --quiet --check .
	@basedpyright
	@found=$$(lint-imports --no-cache --no-logo 2>&1) || { echo "$$found"; exit 1; }

smoke: setup ## run every chapter at toy size
	@OMP_NUM_THREADS=1 pytest tests/test_chapters.py

lab: setup ## open the chapters in JupyterLab
	@jupyter lab

run: setup ## execute chapters and rewrite their committed outputs; CHAPTERS="model introduction" for some only
	@python -m companion.batch refresh $(JOBS) $(CHAPTERS)
	@python -m companion.ledger --page
	@python tools/picture.py

bench: setup ## compare speed and memory with other implementations
	@python -m benchmarks

lock: setup ## choose new versions for requirements.lock; TORCH=2.14.0 for another torch
	@python tools/lock.py $(TORCH)

clean: ## remove what was built
	@rm -rf _build .ruff_cache .hypothesis

distclean: clean ## remove what was built and .venv
	@rm -rf .venv *.egg-info
