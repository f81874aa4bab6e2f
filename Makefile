# The launcher's words, for those whose fingers say make. Windows: python run.py <word>.
PYTHON ?= python3

.PHONY: report test check lab bench docs rigour lock
report test check lab bench docs rigour lock:
	@$(PYTHON) run.py $@ $(ARGS)
