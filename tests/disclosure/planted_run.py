"""A finished run with planted secrets: firms whose numbers, names and identifiers nobody may get out of it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from small_project import Project, write_notebook

NAME, NUMBER = "가온정밀", "124-81-00998"
PERSON, PHONE, MAIL = "900101-1234567", "010-2345-6789", "daepyo@gaonjm.co.kr"
IDENTIFIERS = (NAME, NUMBER, "1248100998", PERSON, "9001011234567", PHONE, "01023456789", MAIL)
PROVINCES = ("부산", "대구", "광주", "대전", "울산", "제주")
GROUPS = ("제조", "서비스")

READ = """\
import csv
from pathlib import Path
from evalkit.present.tabulation import Column, Contribution, Identity, Tabulation, Total
from evalkit.release import Release
release = Release()
rows = Path("../data/panel.csv").read_text(encoding="utf-8").splitlines()
firms = [r for r in csv.DictReader(rows) if int(r["phase"]) == phase]
places = sorted({r["sido"] for r in firms})
groups = sorted({r["industry"] for r in firms})
def values(place=None, group=None, of="sales"):
    return [float(r[of]) for r in firms if place in (None, r["sido"]) and group in (None, r["industry"])]
lines, bars = [*places, None], [*groups, None]
named = lambda text: text or "계"
"""
TWO_WAY = """\
cells = {(i, j + 1): values(p, g) for i, p in enumerate(lines) for j, g in enumerate(bars)}
release.table(Tabulation(
    "sales", f"매출 {phase}단계", (Column("p", "시·도"), *(Column(f"g{j}", named(g), "number", "백만원", digits=0) for j, g in enumerate(bars))),
    [(named(p), *(sum(values(p, g)) for g in bars)) for p in lines],
    counts=[(None, *(len(values(p, g)) for g in bars)) for p in lines],
    contributions={at: Contribution.of(v) for at, v in cells.items() if v},
    keys={(i, j + 1): f"sales.{phase}.{named(p)}.{named(g)}" for i, p in enumerate(lines) for j, g in enumerate(bars)},
    totals=(Total("row", len(places), tuple(range(len(places)))), Total("column", 3, (1, 2))),
))"""
COUNTS = """\
release.table(Tabulation(
    "firms", f"기업 {phase}단계", (Column("p", "시·도"), *(Column(f"g{j}", named(g), "integer") for j, g in enumerate(bars))),
    [(named(p), *(len(values(p, g)) for g in bars)) for p in lines],
    counts=[(None, *(len(values(p, g)) for g in bars)) for p in lines],
    keys={(i, j + 1): f"firms.{phase}.{named(p)}.{named(g)}" for i, p in enumerate(lines) for j, g in enumerate(bars)},
    totals=(Total("row", len(places), tuple(range(len(places)))), Total("column", 3, (1, 2))),
))"""
MEANS = """\
whole = sum(values())
release.table(Tabulation(
    "means", "평균과 몫", (Column("p", "시·도"), Column("n", "기업", "integer"), Column("s", "매출", "number"),
                        Column("m", "평균", "number"), Column("w", "몫", "percent"), Column("j", "고용", "number")),
    [(named(p), len(values(p)), sum(values(p)), sum(values(p)) / len(values(p)), sum(values(p)) / whole, sum(values(p, of="jobs"))) for p in lines],
    counts=[(None, *([len(values(p))] * 5)) for p in lines],
    contributions={(i, c): Contribution.of(values(p)) for i, p in enumerate(lines) for c in (2, 3, 4)}
        | {(i, 5): Contribution.of(values(p, of="jobs")) for i, p in enumerate(lines)},
    keys={(i, 1): f"firms.{phase}.{named(p)}.계" for i, p in enumerate(lines)}
        | {(i, 2): f"sales.{phase}.{named(p)}.계" for i, p in enumerate(lines)},
    totals=(Total("row", len(places), tuple(range(len(places)))),),
))"""
ORDER = """\
release.table(Tabulation(
    "spread", "분포", (Column("p", "시·도"), Column("lo", "최솟값", "number"), Column("me", "중앙값", "number"), Column("hi", "최댓값", "number")),
    [(p, min(values(p)), sorted(values(p))[len(values(p)) // 2], max(values(p))) for p in places],
    counts=[len(values(p)) for p in places],
))"""
HEADLINE = "release.headline('매출', '큰 곳이 이끈다', f'{phase}단계의 결과이다.', 3)"
FIGURE = """\
import pandas as pd
from evalkit.present import figures
shown = [p for p in places if len(values(p)) >= LEAST]
frame = pd.DataFrame({"estimate": [sum(values(p)) / len(values(p)) for p in shown],
                      "conf_low": [0.5 * sum(values(p)) / len(values(p)) for p in shown],
                      "conf_high": [1.5 * sum(values(p)) / len(values(p)) for p in shown],
                      "n": [len(values(p)) for p in shown]}, index=pd.Index(shown, name="label"))
release.figure(figures.forest(frame, title="시·도별 평균", xlabel="매출", name="by_province"))"""
AGAIN = """\
kept = [p for p in places if p != "제주"]
release.table(Tabulation(
    "again", "다시 본 매출", (Column("p", "시·도"), Column("s", "매출", "number")),
    [(p, sum(values(p))) for p in kept], counts=[len(values(p)) for p in kept],
    keys={(i, 1): f"sales.{phase}.{p}.계" for i, p in enumerate(kept)},
    identities=(Identity(f"sales.{phase}.계.계", tuple(f"sales.{phase}.{p}.계" for p in places)),),
))"""
WHOLE = READ.replace('if int(r["phase"]) == phase', "if True")
UNION = TWO_WAY.replace('"sales", f"매출 {phase}단계"', '"union", "두 단계를 합한 매출"').replace(
    "sales.{phase}.", "sales.all."
)
PROVINCE = """\
places = [places[int(part)]]
lines = places
release.table(Tabulation(
    "province", f"{places[0]}의 매출", (Column("p", "업종"), Column("s", "매출", "number"), Column("n", "기업", "integer")),
    [(named(g), sum(values(places[0], g)), len(values(places[0], g))) for g in bars],
    counts=[(None, len(values(places[0], g)), len(values(places[0], g))) for g in bars],
    contributions={(i, 1): Contribution.of(values(places[0], g)) for i, g in enumerate(bars)},
    keys={(i, 1): f"sales.{phase}.{places[0]}.{named(g)}" for i, g in enumerate(bars)}
        | {(i, 2): f"firms.{phase}.{places[0]}.{named(g)}" for i, g in enumerate(bars)},
    totals=(Total("row", 2, (0, 1)),),
))"""
LAX = """\
release = Release(min_firms=min_firms)
release.table(Tabulation(
    "lax", "기업 하나까지", (Column("p", "시·도"), Column("s", "매출", "number")),
    [(p, sum(values(p, groups[0]))) for p in places], counts=[len(values(p, groups[0])) for p in places],
))"""
GONE = "빠진 기업"
FEWER = (
    READ
    + """\
gone = next(r for r in firms if r["sido"] == "부산" and r["industry"] == "서비스")
firms = [r for r in firms if r is not gone]
"""
)
PARAMETERS = "plan: str = ''  # 계획\nphase: int = 1  # 단계\nmin_firms: int = 1  # 무시되어야 하는 값\nlang: str = 'ko'  # 언어\npart: str = '0'  # 지역"


@dataclass
class Run:
    """The finished run and what was planted in it."""

    project: Project
    outcome: Any
    terminal: str
    secrets: dict[str, float]
    cells: dict[str, tuple[float, ...]] = field(default_factory=dict)
    later: Path = Path()  # the same plan, after one firm has left the data
    second: Path = Path()  # another plan on the same data, which leaves one firm out

    @property
    def out(self) -> Path:
        return self.project.out


def plant(root: Path) -> tuple[Project, dict[str, float], dict[str, tuple[float, ...]]]:
    """Write data, notebooks and plan; the firms whose numbers are the prize."""
    project = Project(root)
    rng = np.random.default_rng(20261123)
    rows: list[dict[str, Any]] = []
    secrets: dict[str, float] = {}
    cells: dict[str, tuple[float, ...]] = {}
    for phase in (1, 3):
        for place in PROVINCES:
            for group in GROUPS:
                size = int(rng.integers(6, 12))
                found = np.round(rng.uniform(20_000, 60_000, size), 4)
                if place == "제주":  # one firm, and two
                    found = found[: 1 if group == "제조" else 2]
                    cells[f"{phase}.{group}"] = tuple(float(v) for v in found)
                    secrets |= {f"제주 {phase} {group} {k}": float(v) for k, v in enumerate(found)}
                if place == "울산" and group == "제조":  # one firm that is nearly all
                    found[0] = round(float(rng.uniform(5e6, 9e6)), 4)
                    secrets[f"울산 {phase} 큰 기업"] = float(found[0])
                rows += [
                    {
                        "phase": phase,
                        "sido": place,
                        "industry": group,
                        "sales": v,
                        "jobs": int(rng.integers(11, 99)),
                    }
                    for v in found
                ]
    with (root / "data" / "panel.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["phase", "sido", "industry", "sales", "jobs"])
        writer.writeheader()
        writer.writerows(rows)
    (root / "data" / "name.txt").write_text(f"{NAME} {NUMBER}", encoding="utf-8")
    _notebooks(root / "notebooks")
    project.raw["data"]["sources"]["panel"]["files"] = "*.csv"
    project.raw["disclosure"] = {"min_firms": 3}
    project.raw["reports"] = [
        {"notebook": "sales.ipynb", "for_each": {"phase": [1, 3]}},
        *(
            {"notebook": f"{name}.ipynb"}
            for name in ("counts", "again", "bars", "personal", "broken", "union")
        ),
        {"notebook": "province.ipynb", "for_each": {"part": [str(k) for k in range(len(PROVINCES))]}},
        {"notebook": "lax.ipynb", "parameters": {"min_firms": 1}},
    ]
    project.save()
    return project, secrets, cells


def two_more_runs(project: Project, secrets: dict[str, float]) -> tuple[Path, Path]:
    """A run of the plan after one firm has left the data, and one of another plan that leaves a firm out."""
    panel = project.root / "data" / "panel.csv"
    kept = panel.read_bytes()
    head, *lines = kept.decode().splitlines()
    gone = next(k for k, line in enumerate(lines) if line.startswith("1,부산,서비스"))
    secrets[GONE] = float(lines[gone].split(",")[3])
    panel.write_text("\n".join([head, *lines[:gone], *lines[gone + 1 :]]), encoding="utf-8")
    project.render(jobs=2, only=("sales_phase1",), out=project.root / "later")
    panel.write_bytes(kept)  # byte for byte: both plans read one file
    write_notebook(
        project.root / "notebooks" / "fewer.ipynb",
        FEWER,
        TWO_WAY,
        MEANS,
        title="한 곳을 뺀 매출",
        parameters=PARAMETERS,
    )
    other = Project.__new__(Project)
    other.root, other.raw = (
        project.root,
        project.raw | {"id": "second", "reports": [{"notebook": "fewer.ipynb"}]},
    )
    first = project.plan.read_text(encoding="utf-8")
    other.save()
    other.render(jobs=1, out=project.root / "second")
    project.plan.write_text(first, encoding="utf-8")
    runs = [next((project.root / name).glob("*/run.json")).parent for name in ("later", "second")]
    return runs[0], runs[1]


def _notebooks(folder: Path) -> None:
    for path in folder.glob("*.ipynb"):
        path.unlink()

    def write(name: str, *sources: str, title: str) -> None:
        write_notebook(folder / f"{name}.ipynb", *sources, title=title, parameters=PARAMETERS)

    write("sales", READ, TWO_WAY, MEANS, ORDER, FIGURE.replace("LEAST", "7"), HEADLINE, title="매출")
    write("counts", READ, COUNTS, HEADLINE, title="기업 수")
    write("union", WHOLE, UNION, title="두 단계")
    write("province", READ, PROVINCE, title="시·도")
    write("lax", READ, LAX, title="느슨한 규칙")
    write("again", READ, AGAIN, HEADLINE, title="다시")
    write(
        "bars", READ, FIGURE.replace("LEAST", "1").replace("values(p)", "values(p, groups[0])"), title="막대"
    )
    write(
        "personal",
        "release_text = open('../data/name.txt', encoding='utf-8').read()\n"
        "from evalkit.release import Release\nRelease().text(f'담당 {release_text}')",
        title="담당",
    )
    write(
        "broken",
        READ,
        "largest = max(values())\nraise ValueError(f'{largest} 을(를) 읽을 수 없음: {largest:,.0f}')",
        title="고장",
    )


def raw_tables(folder: Path) -> list[Any]:
    """The tables of the run before anything is withheld."""
    import os

    from evalkit.release import Release

    made: list[Any] = []

    class Collector:
        def table(self, table: Any) -> None:
            made.append(table)

    before = Path.cwd()
    os.chdir(folder)
    try:
        for phase in (1, 3):
            for sources in ((TWO_WAY, MEANS, ORDER), (COUNTS,)):
                space: dict[str, Any] = {"phase": phase}
                exec(READ, space)
                assert isinstance(space["release"], Release)
                space["release"] = Collector()
                for source in sources:
                    exec(source, space)
    finally:
        os.chdir(before)
    return made
