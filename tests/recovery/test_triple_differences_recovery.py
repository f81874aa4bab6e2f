"""Triple differences where eligible and other units drift apart alike in all places, and where they do not."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.panel import Panel
from recovery import Case

pytestmark = pytest.mark.slow
T = np.arange(1, 7)
TRUTH = 1.0


def world(rng: np.random.Generator, *, gap: float = 0.0, units: int = 500, selected: float = 0.0) -> Panel:
    """Places treated in 3, 5 or never, with trends of their own; eligible units have another trend; the effect is 1.

    gap : trend of the gap between eligible and other units in treated places (breaks the assumption)
    selected : trend in a covariate that is higher for eligible units of treated places
    """
    adoption = rng.choice([3.0, 5.0, np.inf], units, p=[0.2, 0.3, 0.5])
    treated = np.isfinite(adoption)
    target = (rng.random(units) < 0.5).astype(float)
    x = rng.standard_normal(units) + 0.7 * treated * target
    noise = rng.standard_normal((units, len(T))).cumsum(axis=1) * 0.5
    y = noise + (0.4 * treated + 0.3 * target + gap * treated * target + selected * x)[:, None] * T
    y += ((adoption[:, None] <= T) & (target[:, None] == 1)) * TRUTH
    return Panel(np.arange(units), T, {"y": y}, {"adoption": adoption, "target": target, "x": x})


def draw(
    rng: np.random.Generator, *, combination: str = "gmm", covariates: tuple[str, ...] = (), **facts: float
) -> tuple[float, ...]:
    panel = world(rng, **facts)  # type: ignore[arg-type]
    est = triple_difference_effects(
        panel,
        Design("y", covariates=covariates),
        eligible="target",
        combination=combination,  # type: ignore[arg-type]
    )
    at = est.terms.get_loc((3, 4))
    return est.values[at], est.std_errors[at], TRUTH


def plain_did(rng: np.random.Generator) -> tuple[float, ...]:
    """The eligible units of treated and other places alone: the places' own trends stay in."""
    panel = world(rng)
    est = group_time_effects(panel.select(panel.fixed["target"] == 1), Design("y"))
    at = est.terms.get_loc((3, 4))
    return est.values[at], est.std_errors[at], TRUTH


def early_places(rng: np.random.Generator) -> Panel:
    """Two fifths of the places start before the cell that is looked at, and do not enter it."""
    panel = world(rng, units=600)
    kept = rng.random(600) < 0.4
    adoption = np.where(kept, 3.0, rng.choice([4.0, 5.0, np.inf], 600, p=[0.4, 0.2, 0.4]))
    target = panel.fixed["target"]
    noise = rng.standard_normal((600, len(T))).cumsum(axis=1) * 0.5
    y = noise + 0.3 * target[:, None] * T + ((adoption[:, None] <= T) & (target[:, None] == 1)) * TRUTH
    return Panel(panel.units, T, {"y": y}, {"adoption": adoption, "target": target})


def early_draw(rng: np.random.Generator, *, as_reference: bool) -> tuple[float, ...]:
    """Cell (4, 4) against cohort 5 and never; the reference's error is smaller by the share of units that enter."""
    panel = early_places(rng)
    est = triple_difference_effects(panel, Design("y"), eligible="target")
    at = est.terms.get_loc((4, 4))
    share = float((panel.fixed["adoption"] != 3).mean())
    return est.values[at], est.std_errors[at] * (share if as_reference else 1.0), TRUTH


def test_the_error_of_the_combination_covers_and_the_reference_error_does_not() -> None:
    ours = Case(
        "triple_differences gmm", "two fifths treated before", partial(early_draw, as_reference=False)
    )
    recovery.judge(ours, recovery.run(ours))
    name = "triple_differences gmm, error as in diff_diff"
    theirs = Case(name, "two fifths treated before", partial(early_draw, as_reference=True), coverage=None)
    row = recovery.run(theirs)
    recovery.judge(theirs, row)
    assert row.cover < 0.85


CASES = [
    Case("triple_differences gmm", "gap trends parallel", draw),
    Case("triple_differences never", "gap trends parallel", partial(draw, combination="never")),
    Case(
        "triple_differences gmm, x",
        "gap trends parallel given x",
        partial(draw, covariates=("x",), selected=0.5, units=1000),
    ),
    Case(
        "triple_differences gmm", "gap trends parallel only given x", partial(draw, selected=0.5), holds=False
    ),
    Case("triple_differences gmm", "gap trends differ", partial(draw, gap=0.3), holds=False),
    Case("group_time on eligible units", "places have trends of their own", plain_did, holds=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))
