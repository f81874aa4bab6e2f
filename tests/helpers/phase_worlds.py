"""Firms on every path through two phases, with effects by industry that are known: for comparisons of phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from small_study import raw_plan, small_study

from evalkit.panel import Panel
from evalkit.study import Study

YEARS = np.arange(2013, 2027)
GROUPS = np.array(["가공", "기계", "바이오"])
PROVINCES = np.array(["강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주"])
# chance of first support by industry group, and the effect that lasts from the first year on
CHANCE = {1: np.array([0.30, 0.15, 0.10]), 3: np.array([0.10, 0.20, 0.35])}
EFFECT = {1: np.array([1.0, 2.0, 4.0]), 3: np.array([1.5, 2.5, 4.5])}
ADDED = 0.8  # what a second support in phase 3 adds
AGAIN = 0.35  # of the firms of phase 1: supported again in phase 3


def population_shares(phase: int) -> np.ndarray:
    """Share of each industry group among the firms first supported in a phase (groups are equally large)."""
    # firms of phase 1 and of the phase between cannot be first supported in phase 3
    left = np.ones(3) if phase == 1 else 1 - CHANCE[1]
    mass = CHANCE[phase] * left
    return np.asarray(mass / mass.sum())


def true_parts() -> dict[str, float]:
    """The difference of the phases and its two parts."""
    w1, w3 = population_shares(1), population_shares(3)
    t1, t3 = EFFECT[1], EFFECT[3]
    return {
        "total": float(w3 @ t3 - w1 @ t1),
        "composition": float((w3 - w1) @ (t1 + t3) / 2),
        "effect": float((w1 + w3) / 2 @ (t3 - t1)),
        "transported": float(w3 @ t1),
        "first": float(w1 @ t1),
        "last": float(w3 @ t3),
    }


def phase_panel(seed: int = 1, firms: int = 900, *, noise: float = 1.0) -> Panel:
    """Firms × 2013–2026; shocks by industry and year, levels and trends by size, so that both must be held apart."""
    rng = np.random.default_rng(seed)
    group, province = rng.integers(0, 3, firms), np.arange(firms) % len(PROVINCES)
    size = rng.normal(3.0, 0.6, firms)
    first = np.where(rng.random(firms) < CHANCE[1][group], rng.integers(2018, 2020, firms), np.inf)
    fresh = np.isinf(first)
    second = np.where(~fresh & (rng.random(firms) < AGAIN), rng.integers(2023, 2025, firms), np.inf)
    second = np.where(fresh & (rng.random(firms) < CHANCE[3][group]), rng.integers(2023, 2025, firms), second)
    between = np.where(fresh & np.isinf(second) & (rng.random(firms) < 0.04), 2021.0, np.inf)
    between = np.where(np.isfinite(first) & (rng.random(firms) < 0.2), 2022.0, between)
    shock = rng.normal(0, 0.4, (3, len(YEARS))).cumsum(axis=1)
    local = rng.normal(0, 0.15, (len(PROVINCES), len(YEARS)))
    y = 20 + 3 * size[:, None] + shock[group] + local[province]
    y = y + 0.15 * size[:, None] * (YEARS - 2013) + rng.normal(0, 1, (firms, 1))
    y = y + noise * rng.normal(0, 0.7, (firms, len(YEARS)))
    y = y + EFFECT[1][group][:, None] * (first[:, None] <= YEARS)
    gain = np.where(np.isfinite(first), ADDED, EFFECT[3][group])
    y = y + gain[:, None] * (second[:, None] <= YEARS)
    return Panel(
        np.array([f"u{i:04d}" for i in range(firms)]),
        YEARS,
        {
            "jobs": y,
            "alive": np.ones_like(y),
            "log_jobs": np.repeat(size[:, None], len(YEARS), axis=1),
        },
        {
            "adoption": np.minimum(np.minimum(first, second), between),
            "adoption_phase1": first,
            "adoption_phase2": between,
            "adoption_phase3": second,
            "support_million_krw": np.where(np.isfinite(np.minimum(first, second)), 300.0, 0.0),
            "sido": PROVINCES[province],
            "sector_group": GROUPS[group],
        },
        {"price_base_year": 2020, "price_levels": {str(y): 1 + 0.02 * (y - 2020) for y in YEARS.tolist()}},
    )


def phase_plan(**changes: Any) -> dict[str, Any]:
    """Changes of the small plan: two phases, firms, covariates, a margin."""
    jobs = raw_plan()["outcomes"]["jobs"] | {"equivalence_margin": 1.0, "claimed": {}}
    return {
        "units": {
            "builder": "firms",
            "groups": {
                "units": {
                    "treated": {"ko": "지원받은 기업", "en": "supported firms"},
                    "comparison": {"ko": "지원받지 않은 기업", "en": "unsupported firms"},
                },
                "regions": {
                    "treated": {"ko": "지구가 들어선 시군구", "en": "municipalities with a zone"},
                    "comparison": {"ko": "다른 시군구", "en": "other municipalities"},
                },
            },
        },
        "phases": {
            1: {"label": {"ko": "1단계", "en": "Phase 1"}, "cohorts": [2018, 2020], "periods": [2013, 2022]},
            3: {"label": {"ko": "3단계", "en": "Phase 3"}, "cohorts": [2023, 2026], "periods": [2018, 2026]},
        },
        "outcomes": {"jobs": jobs},
        "design": {
            "comparison": "never",
            "method": "dr_improved",
            "covariates": ["log_jobs", "sector_group"],
            "missing": "pairs",
            "at_risk": "alive",
        },
        "comparison": {"permutations": 49},
        "inference": {"cluster": "sido", "companion_cluster": None},
    } | changes


def phase_study(folder: Path, panel: Panel | None = None, lang: str = "ko", **changes: Any) -> Study:
    """A study of two phases on such firms."""
    return small_study(folder, phase_panel() if panel is None else panel, lang, **phase_plan(**changes))


def border_panel(seed: int = 4, places: int = 120) -> Panel:
    """Municipalities whose zones stayed (from 2019), were added (2023), dropped (2023, nothing lost) or never came."""
    rng = np.random.default_rng(seed)
    border = np.array(["stable", "entered", "left", *["never"] * 5])[np.arange(places) % 8]
    start = np.select([np.isin(border, ["stable", "left"]), border == "entered"], [2019.0, 2023.0], np.inf)
    rate = 0.5 + 1.0 * (start[:, None] <= YEARS)
    return Panel(
        np.array([f"r{i:03d}" for i in range(places)]),
        YEARS,
        {"moved_in": rng.poisson(rate).astype(float)},
        {
            "adoption": start,
            "border": border,
            "sido": PROVINCES[np.arange(places) // 8 % len(PROVINCES)],
            "capital_region": np.zeros(places).astype(int).astype(str),
        },
    )


def moves_outcome() -> dict[str, Any]:
    """An outcome of municipalities."""
    return {
        "label": {"ko": "기업 유입", "en": "Moves"},
        "variable": "moved_in",
        "unit": {"ko": "건/시군구·년", "en": "moves a year"},
        "family": "moves",
        "panel": "regions",
        "covariates": [],
        "equivalence_margin": 0.1,
    }
