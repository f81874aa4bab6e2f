"""A project of small notebooks that read no data, for tests of rendering."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from evalkit.report.pipeline import Outcome, render_plan
from evalkit.report.task import Options
from evalkit.study.inputs import fingerprint
from evalkit.study.plan import Plan
from evalkit.study.prepare import Prepared

PLANS = Path(__file__).resolve().parents[2] / "plans"
PARAMETERS = (
    "plan: str = ''  # 계획\noutcome: str = 'jobs'  # 결과\nphase: int = 1  # 단계\nlang: str = 'ko'  # 언어"
)
TABLE = """\
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
release = Release()
rows = (("<script>alert(1)</script>", 12.5), ("=HYPERLINK(1)", 3.25))
release.table(Tabulation("effects", f"{outcome} {phase}단계", (Column("a", "이름"), Column("b", "값", "number")), rows))"""
HEADLINE = "release.headline('고용', '12명', f'{outcome} {phase}단계의 결과이다.', 3)"


def write_notebook(path: Path, *sources: str, title: str = "효과 추정", parameters: str = PARAMETERS) -> None:
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}\n\n## 결론"},
    ]
    for k, source in enumerate((parameters, *sources)):
        tags = {"tags": ["parameters"]} if k == 0 else {}
        cells.append(
            {
                "cell_type": "code",
                "id": f"c{k}",
                "metadata": tags,
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
        )
    nb = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(nb, ensure_ascii=False), encoding="utf-8")


class Project:
    """A folder with a plan, notebooks and one input file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("plans", "notebooks", "data"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "data" / "panel.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        self.raw = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
        self.raw |= {
            "id": "small",
            "data": {"folder": "../data", "sources": {"panel": {"table": "t", "files": "*.csv"}}},
            "reports": [
                {"notebook": "effect.ipynb", "for_each": {"outcome": ["jobs"], "phase": [1, 3]}},
                {"notebook": "summary.ipynb"},
            ],
        }
        write_notebook(root / "notebooks" / "effect.ipynb", TABLE, HEADLINE)
        write_notebook(root / "notebooks" / "summary.ipynb", "print('요약 <b>')", title="종합 요약")
        self.save()

    @property
    def plan(self) -> Path:
        return self.root / "plans" / "small.yml"

    @property
    def out(self) -> Path:
        return self.root / "reports" / "small"

    def save(self) -> None:
        self.plan.write_text(yaml.safe_dump(self.raw, allow_unicode=True), encoding="utf-8")

    def render(self, **options: Any) -> Outcome:
        """By one worker unless told otherwise: the start of a second takes longer than what it would make."""
        return render_plan(self.plan, Options(**{"jobs": 1} | options))

    def page(self, name: str) -> str:
        return (self.out / f"{name}.html").read_text(encoding="utf-8")

    def run(self) -> dict[str, Any]:
        return json.loads((self.out / "run.json").read_text(encoding="utf-8"))

    def bytes(self) -> dict[str, bytes]:
        """Every file of the reports; the record of the run without its times."""
        found = sorted(p for p in self.out.rglob("*") if p.is_file())
        files = {p.relative_to(self.out).as_posix(): p.read_bytes() for p in found}
        timeless = {name: value for name, value in self.run().items() if name != "timing"}
        return files | {"run.json": json.dumps(timeless, sort_keys=True).encode()}


def prepared_at_rest(plan_path: Path, plan: Plan, data: Path | None = None, progress: Any = None) -> Prepared:
    """Stands in the place of the preparation of data: the notebooks read none."""
    return Prepared(plan_path.parent, fingerprint(plan_path, plan, data), changed=False)
