"""Who counts as a neighbour of a phase's zones in the ring design."""

from __future__ import annotations

import numpy as np

from evalkit.design import Design
from evalkit.panel import Panel
from evalkit.study.opinions.rings import _not_yet_near
from evalkit.study.sample import AnalysisSample


def test_firms_near_earlier_zones_are_no_neighbours_of_this_phase() -> None:
    """Untreated, near since 2019: out. Near from 2023 on, far for good, or treated: stay."""
    years = np.arange(2019, 2026)
    early, late, far = np.ones(7), (years >= 2023).astype(float), np.zeros(7)
    panel = Panel(
        np.array(["early", "late", "far", "treated"]),
        years,
        {
            "y": np.ones((4, 7)),
            "ring_0_5": np.stack([early, far, far, early]),
            "ring_5_10": np.stack([far, late, far, far]),
        },
        {"adoption": np.array([np.inf, np.inf, np.inf, 2023.0])},
    )
    treated = np.array([False, False, False, True])
    sample = AnalysisSample(panel, Design(outcome="y"), (), treated, ~treated, 2022)
    kept = _not_yet_near(sample, ("ring_0_5", "ring_5_10"))
    assert kept.panel.units.tolist() == ["late", "far", "treated"]
    assert kept.treated.tolist() == [False, False, True]
    assert kept.comparison.tolist() == [True, True, False]
