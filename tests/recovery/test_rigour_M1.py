"""M1: a few treated provinces of 14 or 17, shocks that last, a true null. What the kit prints by default, and the rest."""

from __future__ import annotations

from functools import partial

import numpy as np
import provinces
import pytest
import rigour
from leading import DRAWS, design_of, measures, of_estimate

from evalkit.design import Design
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.refit import Refits

# the automatic rule keeps its level here; with one treated province it claims nothing and prints nothing
CLAIM = (3.0, 7.0)


def draw(
    rng: np.random.Generator, *, provinces_: int, treated: int, weighted: bool, law: str
) -> rigour.Measures:
    """One world."""
    panel = provinces.world(rng, provinces_, treated, law="t" if law == "t(3)" else law)
    name = "size" if weighted else None
    design = design_of("province", name)
    out = measures(
        two_way_effects(panel, design),
        np.asarray(panel.constant("adoption")),
        Refits(panel, design, two_way_effects, size=name, draws=DRAWS),
        np.asarray(panel.constant("size")) if weighted else None,
    )
    out["LW-t, unweighted"] = of_estimate(lee_wooldridge_effects(panel, Design("y")))
    return out


CELLS = [
    (g, treated, weighted, law)
    for g, treated, weighted, law in (
        *((g, k, w, "normal") for g in (14, 17) for k in (1, 2, 3, 5, 7) for w in (False, True)),
        *((14, k, w, "t(3)") for k in (2, 3, 5) for w in (False, True)),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_M1_the_rule_keeps_its_level(cell: tuple[int, int, bool, str]) -> None:
    g, treated, weighted, law = cell
    world = (
        f"{g} provinces, {treated} treated, {'weighted by size' if weighted else 'unweighted'}, {law} shocks"
    )
    rows = rigour.run(
        "M1",
        world,
        partial(draw, provinces_=g, treated=treated, weighted=weighted, law="t" if law == "t(3)" else law),
        seed=20260101 + treated,
        claims={} if treated == 1 else {("auto", "rejection"): CLAIM},
    )
    rigour.judge(rows)
    if treated == 1:
        assert rows["auto", "rejection"].failed == rows["auto", "rejection"].replications
    if treated <= 3:
        assert rows["CV1", "rejection"].value > 8, "the usual error is what the rule protects from"


def draw_firms(rng: np.random.Generator, *, provinces_: int, supported_in: int) -> rigour.Measures:
    """One world of firms, supported and not in the same province."""
    panel = provinces.firms(rng, provinces_, supported_in=supported_in)
    design = design_of("province")
    adoption = np.asarray(panel.constant("adoption"))
    return measures(
        two_way_effects(panel, design), adoption, Refits(panel, design, two_way_effects, draws=DRAWS)
    )


@pytest.mark.slow
@pytest.mark.parametrize("supported_in", [14, 7])
def test_M1_firms_within_provinces(supported_in: int) -> None:
    """Support inside provinces: provinces stand on both sides, and the jackknife leads."""
    rows = rigour.run(
        "M1",
        f"14 provinces of 20 firms, supported and unsupported firms in {supported_in} of them",
        partial(draw_firms, provinces_=14, supported_in=supported_in),
        seed=20260150 + supported_in,
        claims={("auto", "rejection"): CLAIM},
    )
    rigour.judge(rows)
