"""Bands around zones beside the direct effect, on a panel without noise: who counts, who is clean, who decides the interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_study import PERIODS, PROVINCE, UNITS, raw_plan, small_panel, small_study

from evalkit.inference import headline
from evalkit.panel import Panel
from evalkit.study.ring_paths import Paths, paths_of
from evalkit.study.value_totals import year_weights

ORDER = np.arange(UNITS) // 6  # 0–4 supported, 5–11 not
APART = {"variable": "ring", "equals": "1", "reason": {"ko": "지구 가까이", "en": "near a zone"}}


def ringed(*, only: str | None = None, noise: float = 0.0) -> Panel:
    """10–11 lose 1 at 0–5 km from 2018, 9 loses 4 at 5–10 km from 2018, 8 gains 50 at 0–5 km from a zone of 2021."""
    panel = small_panel(noise=noise)
    inner, outer, late = ORDER >= 10, ORDER == 9, ORDER == 8
    if only is not None:
        inner, outer = inner & (only == PROVINCE), outer & (only == PROVINCE)
    years = PERIODS[None, :]
    near = (inner[:, None] & (years >= 2018)) | (late[:, None] & (years >= 2021))
    around = outer[:, None] & (years >= 2018)
    jobs = panel.values("jobs") - 1.0 * (inner[:, None] & (years >= 2018)) - 4.0 * around
    jobs = jobs + 50.0 * (late[:, None] & (years >= 2020))
    return panel.with_varying(
        jobs=jobs, ring_0_5=near.astype(float), ring_5_10=around.astype(float)
    ).with_fixed(ring=(inner | outer | late).astype(int).astype(str))


def paths(folder: Path, panel: Panel) -> tuple[Paths, tuple[int, ...]]:
    units = raw_plan()["units"] | {"exclude": [APART]}
    design = raw_plan()["design"] | {"covariates": [], "method": "reg"}
    study = small_study(folder, panel, units=units, design=design)
    effect = study.effect("jobs", 1)
    return paths_of(study.plan, panel, effect), effect.horizon


def test_each_band_is_held_against_firms_never_near_a_zone(tmp_path: Path) -> None:
    found, horizon = paths(tmp_path, ringed())
    assert [(band.name, band.units) for band in found.bands] == [("ring_0_5", 12), ("ring_5_10", 6)]
    rings = np.asarray(found.joint.terms.get_level_values("ring"))
    for ring, effect in (("", 3.0), ("ring_0_5", -1.0), ("ring_5_10", -4.0)):
        inside = (rings == ring) & np.isin(found.event_times, horizon)
        assert inside.any()
        np.testing.assert_allclose(found.joint.values[inside], effect, atol=1e-9)
    weights = year_weights(found, horizon)
    assert weights @ found.joint.values == pytest.approx(30 * 3 - 12 * 1 - 6 * 4)


def test_a_band_in_one_province_decides_that_the_sum_has_no_interval(tmp_path: Path) -> None:
    found, _ = paths(tmp_path, ringed(only="강원", noise=1.0))
    assert found.has_rings
    assert found.clusters.fewest == 1
    led = headline(found.joint, found.clusters, rule="auto")
    assert "one_cluster_on_one_side" in led.reasons
