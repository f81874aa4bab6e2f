"""A small study in memory: 72 units in six provinces and twelve years, for pages and what they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan

UNITS, PERIODS = 72, np.arange(2013, 2025)
PROVINCES = np.array(["강원", "충북", "충남", "전북", "전남", "경북"])
PROVINCE = PROVINCES[np.arange(UNITS) % 6]
WORD = {"ko": "말", "en": "word"}
EFFECT = 3.0
TREATED = 5  # of the twelve units of a province


def raw_plan(**changes: Any) -> dict[str, Any]:
    """A plan of one phase and one outcome, as YAML would give it."""
    return {
        "id": "small",
        "title": WORD,
        "programme": "NIC",
        "question": WORD,
        "data": {"folder": "../data", "sources": {"panel": {"table": "region_panel", "files": "*.csv"}}},
        "units": {
            "builder": "regions",
            "groups": {
                "units": {
                    "treated": {"ko": "지원 시군구", "en": "supported places"},
                    "comparison": {"ko": "비교 시군구", "en": "other places"},
                }
            },
        },
        "phases": {
            1: {"label": {"ko": "앞", "en": "first"}, "cohorts": [2018, 2019], "periods": [2013, 2022]},
        },
        "outcomes": {
            "jobs": {
                "label": {"ko": "고용", "en": "Jobs"},
                "variable": "jobs",
                "unit": {"ko": "명/기업", "en": "persons per firm"},
                "total_unit": {"ko": "명", "en": "persons"},
                "equivalence_margin": 2.0,
                "family": "jobs",
                "claimed": {
                    1: {"value": 90, "label": {"ko": "보고된 일자리", "en": "reported jobs"}, "source": "FAQ"}
                },
            }
        },
        "design": {
            "comparison": "never",
            "method": "dr_improved",
            "covariates": ["size"],
            "missing": "pairs",
        },
        "inference": {"cluster": "sido", "companion_cluster": None},
        "power": {"simulations": 100},
        "robustness": {"placebos": {"assignments": 29}, "leave_out": ["sido", "sector_group"]},
        "reports": [{"notebook": "04_summary.ipynb"}],
    } | changes


def small_panel(provinces: int = 6, *, cohorts: tuple[int, ...] = (2018, 2019), noise: float = 1.0) -> Panel:
    """Five units of each of the first `provinces` provinces adopt; the effect on them is 3."""
    rng = np.random.default_rng(3)
    adoption = np.full(UNITS, np.inf)
    for at, province in enumerate(PROVINCES[:provinces]):
        adoption[np.flatnonzero(province == PROVINCE)[:TREATED]] = cohorts[at % len(cohorts)]
    size = rng.normal(size=UNITS)
    y = 40 + 2 * size[:, None] + rng.normal(size=(UNITS, 1)) + noise * rng.normal(size=(UNITS, len(PERIODS)))
    return Panel(
        np.array([f"u{i:02d}" for i in range(UNITS)]),
        PERIODS,
        {
            "jobs": y + EFFECT * (adoption[:, None] <= PERIODS),
            "calm": y + rng.normal(size=y.shape),
        },
        {
            "adoption": adoption,
            "sido": PROVINCE,
            "sector_group": np.array(["가공", "기계", "바이오"])[np.arange(UNITS) // 6 % 3],
            "size": size,
        },
    )


def small_study(folder: Path, panel: Panel | None = None, lang: str = "ko", **changes: Any) -> Study:
    """The study of a plan on a panel, without files to read."""
    (small_panel() if panel is None else panel).save(folder / "units.npz")
    (folder / "audit.json").write_text('{"panels": {}, "tables": []}', encoding="utf-8")
    plan = Plan.model_validate(raw_plan(**changes))
    return Study(plan, folder / "small.yml", folder, Inputs("", (), False, folder), lang)
