# The launcher's words, for those whose fingers say make. Windows: python run.py <word>.
PYTHON ?= python3

.PHONY: report test check lab bench docs coverage rigour lock
report test check lab bench docs coverage rigour lock:
	@$(PYTHON) run.py $@ $(ARGS)
