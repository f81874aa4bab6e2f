"""M3: staggered adoption by a few of 14 provinces, group-time effects averaged over treated cells, a true null.

Which errors keep their size: the influence function with the normal distribution (as R did prints it), CV1 and the
delete-one-province jackknife with t(13), re-assignment of whole cohorts, and residuals through the weights of the
estimator (FP-v). Its scaling ("exact") was chosen on other seeds, among: no factor, the plain factor √(G/(G − 1)), random
signs, comparison donors, combinations in place of whole paths for the law; then it was frozen and run here once.
"""

from __future__ import annotations

from functools import partial

import leading
import numpy as np
import pytest
import rigour
import staggered_provinces as staged
from scipy.stats import norm
from scipy.stats import t as student

from evalkit.aggregate import event_study
from evalkit.arrays.residual_paths import NullImposed, Scales, donor_draws, inverse_sizes, two_way_paths
from evalkit.arrays.studentised_paths import studentised
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import estimator_weights
from evalkit.inference._few_treated_draws import needed
from evalkit.inference.few_treated import accepted, null_imposed

DRAWS, LEVEL = 999, 0.05
SEED = 20261207
# power is against one standard deviation of the innovations
EFFECT = 1.0
G, T = staged.G, staged.T

COHORTS = ((1, 0), (1, 2), (2, 2), (3, 3), (5, 4))
VARIANCES = {
    "equal": "equal variance",
    "size": "variance ∝ 1/size, smallest treated",
    "free": "free variance",
}
WORLDS = [
    *((c, w, v, "normal") for c in COHORTS for w in (False, True) for v in VARIANCES),
    *((c, False, v, "t") for c in COHORTS[1:4] for v in ("equal", "size")),
]


def name_of(cohorts: tuple[int, int], weighted: bool, variance: str, law: str) -> str:
    staggered = "+".join(str(n) for n in cohorts if n)
    weights = "size weights" if weighted else "equal weights"
    return (
        f"{staggered} treated, {weights}, {VARIANCES[variance]}, {'t(3)' if law == 't' else 'normal'} shocks"
    )


def residual_tests(
    held: staged.Setting, value: np.ndarray, y: np.ndarray, flat: np.ndarray, rule: str
) -> NullImposed:
    v = value.reshape(G, T)
    return NullImposed(
        v,
        two_way_paths(y),
        two_way_paths(held.after),
        float((v * y).sum()),
        Scales(inverse_sizes(staged.SIZE), np.arange(G), True, rule),
        flat,
    )


def p_values(held: staged.Setting, y: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Every method's p-value of no effect."""
    flat_y = y.ravel()
    maps = held.group_time
    estimate = flat_y @ maps.value
    spread = np.sqrt(np.square(flat_y @ maps.influence).sum()) / G
    left_out = flat_y @ maps.replicates
    jackknife = np.sqrt((G - 1) / G * np.square(left_out - estimate).sum())
    placebos = np.abs(held.others @ flat_y)
    found = {
        "IF-z": 2 * norm.sf(abs(estimate) / spread),
        "CV1-t": 2 * student.sf(abs(estimate) / spread / np.sqrt(G / (G - 1)), G - 1),
        "CV3-t": 2 * student.sf(abs(estimate) / jackknife, G - 1),
        "RI": (1 + (placebos >= abs(estimate) * (1 - 1e-12)).sum()) / (staged.ASSIGNMENTS + 1),
    }
    flat = donor_draws(G, G, DRAWS, rng)
    for name, value, rule in (
        ("FP-v", maps.value, "exact"),
        ("FP-v, plain", maps.value, "plain"),
        ("FP-v, imputation", held.imputation.value, "exact"),
    ):
        test = residual_tests(held, value, y, flat, rule)
        found[name] = float(1 + test.counts(np.zeros(1))[0]) / (DRAWS + 1)
    return found


def draw(
    rng: np.random.Generator, *, cohorts: tuple[int, int], weighted: bool, variance: str, law: str
) -> rigour.Measures:
    """One panel: rejection of the true null, and of it where the effect is `EFFECT`."""
    held = staged.setting(cohorts, weighted, variance)
    y = staged.outcome(rng, variance, law)
    null, other = p_values(held, y, rng), p_values(held, y + EFFECT * held.after, rng)
    weights = staged.SIZE if weighted else np.ones(G)
    adoption = np.where(held.after.any(axis=1), np.argmax(held.after, axis=1).astype(float), np.inf)
    null, other = (
        {"auto": leading.by_rule(found, adoption, weights, staged.SIZE)[0], **found}
        for found in (null, other)
    )
    return {
        method: {
            "rejection": float(null[method] <= LEVEL) if np.isfinite(null[method]) else np.nan,
            "power": float(other[method] <= LEVEL) if np.isfinite(other[method]) else np.nan,
        }
        for method in null
    }


def claims_of(cohorts: tuple[int, int]) -> rigour.Claims:
    """Two to four treated provinces: within 3–7 %; more: not above 7 %; one: nothing is claimed. The rule: within 3–7 %."""
    if sum(cohorts) == 1:
        return {}
    low = 3.0 if sum(cohorts) <= 4 else 2.0
    return {
        ("auto", "rejection"): (3.0, 7.0),
        ("FP-v", "rejection"): (low, 7.0),
        ("FP-v, imputation", "rejection"): (low, 7.0),
    }


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda w: name_of(*w))
def test_M3_residuals_through_the_weights_keep_their_size(
    world: tuple[tuple[int, int], bool, str, str],
) -> None:
    cohorts, weighted, variance, law = world
    staged.setting(cohorts, weighted, variance)  # made once, before the processes part
    rows = rigour.run(
        "M3",
        name_of(*world),
        partial(draw, cohorts=cohorts, weighted=weighted, variance=variance, law=law),
        seed=SEED,
        claims=claims_of(cohorts),
    )
    rigour.judge(rows)
    assert rows["IF-z", "rejection"].value > 8, "the usual error is what all this is about"
    if sum(cohorts) > 2 and 1 not in cohorts:
        assert rows["CV3-t", "rejection"].failed == 0


def interval(
    rng: np.random.Generator, *, cohorts: tuple[int, int], weighted: bool, variance: str
) -> rigour.Measures:
    """The whole interval of FP-v, with an effect."""
    held = staged.setting(cohorts, weighted, variance)
    y = staged.outcome(rng, variance, "normal") + EFFECT * held.after
    v = held.group_time.value.reshape(G, T)
    test = null_imposed(v, y, held.after, staged.SIZE, draws=299, seed=int(rng.integers(1 << 31)))
    pieces = accepted(test, 1 - LEVEL)
    covered = any(low <= EFFECT <= high for low, high in pieces)
    return {"FP-v": {"coverage": float(covered), "width": pieces[-1][1] - pieces[0][0]}}


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["equal", "size"])
@pytest.mark.parametrize("cohorts", [(1, 2), (2, 2)])
def test_M3_intervals_hold_the_effect(cohorts: tuple[int, int], variance: str) -> None:
    staged.setting(cohorts, False, variance)
    rows = rigour.run(
        "M3",
        "intervals: " + name_of(cohorts, False, variance, "normal"),
        partial(interval, cohorts=cohorts, weighted=False, variance=variance),
        seed=SEED + 1,
        claims={("FP-v", "coverage"): (93.0, 97.0)},
    )
    rigour.judge(rows)


BAND: dict[tuple[tuple[int, int], str], tuple[np.ndarray, np.ndarray]] = {}


def band_setting(cohorts: tuple[int, int], variance: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights of event times −3 to 3 and the true effects there."""
    if (cohorts, variance) not in BAND:
        adoption = staged.dates(cohorts, staged.who(cohorts, variance))
        panel = staged.panel_of(np.random.default_rng(0).normal(size=(G, T)), adoption)
        found = estimator_weights(
            panel,
            Design("y", cluster="province"),
            lambda p, d: event_study(group_time_effects(p, d), min_event_time=-3, max_event_time=3),
        )
        times = np.asarray(found.terms.get_level_values(0))
        moving = times != -1
        BAND[cohorts, variance] = (found.by_cluster[moving], np.maximum(times[moving] + 1, 0) * 0.5)
    return BAND[cohorts, variance]


def band(rng: np.random.Generator, *, cohorts: tuple[int, int], variance: str) -> rigour.Measures:
    """Effects 0.5, 1, 1.5, 2 after adoption: do all lie in the band, and does each pointwise interval hold its own?"""
    weights, truth = band_setting(cohorts, variance)
    adoption = staged.dates(cohorts, staged.who(cohorts, variance))
    event = np.where(np.isinf(adoption), -99, np.arange(T)[:, None] - adoption).T
    y = staged.outcome(rng, variance, "normal") + np.maximum(event + 1, 0) * 0.5
    donors = np.flatnonzero(np.isinf(adoption))
    values = np.tensordot(weights, y, axes=2)
    out = {}
    for name, rule in (("band", "exact"), ("band, plain", "plain")):
        scales = Scales(inverse_sizes(staged.SIZE), donors, True, rule)
        made = studentised(weights, y, scales, 299, [int(rng.integers(1 << 31))])
        ratios = np.abs(values - truth) / made.errors
        largest = np.sort(np.abs(made.ratios).max(axis=1))[::-1]
        critical = largest[needed(1 - LEVEL, 299) - 1]
        last = np.sort(np.abs(made.ratios[:, -1]))[::-1][needed(1 - LEVEL, 299) - 1]
        out[name] = {"coverage": float(ratios.max() <= critical), "one term": float(ratios[-1] <= last)}
    return out


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["equal", "size"])
@pytest.mark.parametrize("cohorts", [(1, 2), (2, 2)])
def test_M3_bands_hold_every_event_time(cohorts: tuple[int, int], variance: str) -> None:
    band_setting(cohorts, variance)
    rows = rigour.run(
        "M3",
        "bands: " + name_of(cohorts, False, variance, "normal"),
        partial(band, cohorts=cohorts, variance=variance),
        seed=SEED + 2,
        claims={("band", "coverage"): (90.0, 97.5), ("band", "one term"): (90.0, 97.5)},
    )
    rigour.judge(rows)
