"""Between runs: finished report folders side by side, for what they give away together: ``evalkit release-check``.

Two runs of one plan, and runs of two plans that read a common file. Nothing is written into the folders: a page must not
depend on what was made before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from evalkit.errors import FileError, UsageError
from evalkit.present.tabulation import Tabulation
from evalkit.release.differencing import Risk, differencing
from evalkit.release.ledger import ledger_csv
from evalkit.release.rules import Rules, strictest
from evalkit.release.run_audit import Published
from evalkit.report.guard import PAYLOAD
from evalkit.report.store import read_run

_SAMPLE = ("outcome", "phase")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, and what they tell together; `apart` says why nothing was compared."""

    before: Path
    after: Path
    risks: tuple[Risk, ...] = ()
    apart: str = ""


def pairs(folders: Sequence[Path]) -> list[Pair]:
    """Every two of several runs; a folder of runs stands for those in it.

    Raises
    ------
    UsageError : fewer than two runs; FileError : no finished run
    """
    found = list(dict.fromkeys(run for folder in folders for run in _runs(folder.resolve())))
    if len(found) < 2:
        raise UsageError(
            "견줄 실행이 둘이 안 됨", remedy="앞 실행을 따로 둔 폴더와 새 실행의 폴더를 함께 적을 것"
        )
    return [compare(one, two) for one, two in combinations(found, 2)]


def compare(before: Path, after: Path) -> Pair:
    """What two finished runs tell together."""
    old, new = _record(before), _record(after)
    if _plan(old) != _plan(new) and not _files(old) & _files(new):
        return Pair(before, after, apart="계획이 다르고, 두 실행이 읽은 파일 가운데 같은 것이 없음")
    rules = strictest([_rules(old), _rules(new)])
    found = differencing(
        list(released(before, old)), list(released(after, new)), rules, _subjects(old) | _subjects(new)
    )
    return Pair(before, after, tuple(found))


def released(folder: Path, run: Mapping[str, Any]) -> Iterator[Published]:
    """All released tables and data of figures of a run, whether other tables share a quantity with them or not."""
    for name, job in sorted(run["jobs"].items()):
        path = folder / "notebooks" / f"{name}.ipynb"
        if job.get("state") != "ok" or not path.is_file():
            continue
        for cell in json.loads(path.read_bytes())["cells"]:
            for output in cell.get("outputs", ()):
                payload = output.get("data", {}).get(PAYLOAD)
                if isinstance(payload, dict) and isinstance(payload.get("table"), dict):
                    hidden = {(r, c): (str(rule), bool(w)) for r, c, rule, w in payload.get("hidden", ())}
                    yield Published(name, Tabulation.from_json(payload["table"]), hidden)


def form(found: Sequence[Pair]) -> str:
    """The list for the output checker to sign, as the list of suppressed cells; reports are named with their run."""
    return ledger_csv(
        {**risk.to_json(), "report": f"{' + '.join(names(pair))}: {risk.report}"}
        for pair in found
        for risk in pair.risks
    )


def names(pair: Pair) -> tuple[str, str]:
    """Names of the two folders, with their parents' where they are alike."""
    one, two = pair.before, pair.after
    if one.name != two.name:
        return one.name, two.name
    return f"{one.parent.name}/{one.name}", f"{two.parent.name}/{two.name}"


def _runs(folder: Path) -> list[Path]:
    if (folder / "run.json").is_file():
        return [folder]
    inside = sorted(path.parent for path in folder.glob("*/run.json"))
    return inside or [folder]


def _record(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    if not run:
        raise FileError("끝난 실행(run.json)이 없음", where=(folder.name,), remedy="보고서 폴더를 적을 것")
    return run


def _plan(run: Mapping[str, Any]) -> Any:
    return ((run.get("plan") or {}).get("content") or {}).get("id")


def _files(run: Mapping[str, Any]) -> set[str]:
    return {str(entry["sha256"]) for entry in run.get("inputs") or ()}


def _rules(run: Mapping[str, Any]) -> Rules:
    from evalkit.study.plan_disclosure import Disclosure

    plan = run.get("plan") or {}
    return Disclosure.model_validate((plan.get("content") or {}).get("disclosure") or {}).rules()


def _subjects(run: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Report -> outcome and phase of its sample, where its parameters name them."""
    return {
        name: tuple(str(job["parameters"][key]) for key in _SAMPLE if key in (job.get("parameters") or {}))
        for name, job in run["jobs"].items()
    }
