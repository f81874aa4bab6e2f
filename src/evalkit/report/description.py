"""What ``run.json`` and the audit trail say of a run: enough to tell later what a page was made of, and what changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalkit.report.frame import relative
from evalkit.report.pipeline import Work
from evalkit.report.provenance import audit_key, code_parts, git_state
from evalkit.report.task import Options
from evalkit.study import provenance
from evalkit.study.prepare import Prepared, identifier_key

_DESCRIBED = ("frozen", "deviations", "simulated", "inputs", "seed", "lang", "versions")


def run_description(work: Work, context: Mapping[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Plan, inputs and software of a run, without its times.

    ``plan.content`` holds the plan itself, so that two runs can say which keys differ; ``code.parts`` a hash of each part of
    the package; ``tables`` the rows that were read from each file; ``data`` whether ``--data`` named another folder.
    """
    plan = work.plan
    read = provenance.read(prepared.folder) or {}
    return {
        **{name: context[name] for name in _DESCRIBED},
        "plan": {
            **context["plan"],
            "file": relative(work.plan_path, work.root),
            "content": json.loads(plan.canonical()),
        },
        "data": work.options.data is not None,
        "inputs_digest": work.tasks[0].made_of.inputs if work.tasks else "",
        "tables": [
            {name: str(table[name]) for name in ("source", "file", "sheet")} | {"rows": int(table["rows"])}
            for table in read.get("tables", ())
        ],
        "code": code_description(context, work.root),
    }


def code_description(context: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Hashes of the package and the lock, and the state of the repository."""
    return {
        "sha256": context["code"],
        "lock": context["lock"],
        "parts": code_parts(),
        **git_state(root),
    }


def trail_options(options: Options) -> dict[str, Any]:
    """What the command line asked for, without folders of this machine."""
    return {
        "only": list(options.only),
        "force": options.force,
        "lang": options.lang,
        "data": options.data is not None,
        "out": options.out is not None,
        "workers": options.jobs,
        "timeout": options.timeout,
    }


def trail_key(root: Path) -> bytes | None:
    """Key of the seals; made where there is none yet, None where none can be made."""
    try:
        return audit_key(root) or identifier_key(root, simulated=False)
    except OSError:
        return None
