"""Times the methods for zeros, attrition, rare events and distributions against peers on the same arrays.

    OPENBLAS_NUM_THREADS=1 python benchmarks/rare_events.py [--large] [--repeat 5]

Peers: statsmodels GLM on one row a unit and period (hazard; with clustered errors), DurationDiD and ChangesInChanges of
diff-diff with 100 bootstrap draws (they have no analytic error; their time grows with the draws, and 100 is few). Where
no peer exists the yardstick is the kit's own group-time effects on the same outcome: the same cells, one variable. The
replicates line is the cost of leaving out 17 regions against the estimate alone. First the numbers are compared.
At 500,000 units peers are skipped: the GLM needs the 3.5 million rows in memory many times over, the bootstraps minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit.design import Design
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.duration_did import duration_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.estimators.lee_bounds import lee_bounds
from evalkit.estimators.margins import margin_effects
from evalkit.panel import Panel

DRAWS = 100


def world(units: int) -> Panel:
    """The staggered panel with an exit of its own: outcome missing after it, sales with zeros."""
    panel = staggered(units)
    rng = np.random.default_rng(2)
    treated = panel.periods >= panel.constant("adoption")[:, None]
    event = rng.random(panel.shape) < np.where(treated, 0.03, 0.05)
    event[:, 0] = False
    first = np.where(event.any(axis=1), event.argmax(axis=1), panel.shape[1])
    time = np.arange(panel.shape[1])
    y = panel.values("y")
    return panel.with_varying(
        exit=(time == first[:, None]).astype(float),
        gone=(time >= first[:, None]).astype(float),
        stay=np.where(time >= first[:, None], np.nan, y),
        sales=np.where(y > 0, y, 0.0),
    )


def two_groups(panel: Panel) -> Panel:
    """Cohort 7 and the never treated, for peers of two groups and one date."""
    adoption = panel.constant("adoption")
    return panel.select((adoption == 7) | np.isinf(adoption))


def long_rows(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, dummies and region of every unit and period at risk."""
    gone = panel.values("gone")
    at_risk = np.concatenate([np.ones((len(gone), 1), bool), gone[:, :-1] == 0], axis=1)
    i, t = np.nonzero(at_risk)
    adoption = panel.constant("adoption")
    columns = [(panel.periods[t] >= adoption[i]).astype(float), np.ones(len(i))]
    columns += [(adoption[i] == g).astype(float) for g in (3.0, 5.0, 7.0)]
    columns += [(t == s).astype(float) for s in range(2, panel.shape[1])]
    kept = t > 0  # no event in the first period
    return (
        panel.values("exit")[i, t][kept],
        np.stack(columns, axis=1)[kept],
        panel.constant("region")[i][kept],
    )


def glm(panel: Panel) -> Callable[[], object] | None:
    """The hazard model by statsmodels."""
    if importlib.util.find_spec("statsmodels") is None:
        return None
    import statsmodels.api as sm

    y, x, region = long_rows(panel)
    family = sm.families.Binomial(sm.families.links.CLogLog())
    return lambda: sm.GLM(y, x, family=family).fit(tol=1e-10, cov_type="cluster", cov_kwds={"groups": region})


def diff_diff(panel: Panel) -> dict[str, Callable[[], object]]:
    """The duration and distributional peers."""
    if importlib.util.find_spec("diff_diff") is None:
        return {}
    import diff_diff as peer

    frame = panel.to_long()
    frame["treated"] = np.isfinite(frame["adoption"]).astype(int)
    pair = frame[frame["period"].isin([6, 7])].copy()
    pair["post"] = (pair["period"] == 7).astype(int)
    return {
        "duration": lambda: peer.DurationDiD(method="cd", n_bootstrap=DRAWS, seed=1).fit(
            frame, "gone", "unit", "period", "treated", last_pre_period=6
        ),
        "changes": lambda: peer.ChangesInChanges(n_bootstrap=DRAWS, panel=True, seed=1).fit(
            pair, outcome="y", treatment="treated", time="post", unit="unit"
        ),
    }


Line = tuple[str, Callable[[], object], str, Callable[[], object]]


def lines(panel: Panel, peers: bool) -> list[Line]:
    """What is timed: label, call, name of the yardstick, yardstick."""
    region = {"cluster": "region"}
    group_time = "group_time_effects"

    def cells(outcome: str) -> Callable[[], object]:
        return lambda: group_time_effects(panel, Design(outcome, **region))

    found: list[Line] = [
        ("margins, overall", lambda: margin_effects(panel, Design("sales", **region)), group_time, cells("sales")),
        ("distribution, 19 thresholds", lambda: distribution_effects(panel, Design("y", **region)), group_time, cells("y")),
        ("Lee bounds, overall", lambda: lee_bounds(panel, Design("stay", **region)), group_time, cells("y")),
        ("attrition, overall", lambda: attrition_effects(panel, Design("stay", **region)), group_time, cells("y")),
        ("duration, 3 cohorts", lambda: duration_effects(panel, Design("gone", **region)), group_time, cells("gone")),
        ("changes-in-changes, mean", lambda: changes_in_changes(panel, Design("y", **region), quantiles=()), group_time, cells("y")),
    ]  # fmt: skip
    for label, method, outcome in (
        ("margins", margin_effects, "sales"),
        ("Lee bounds", lee_bounds, "stay"),
        ("duration", duration_effects, "gone"),
        ("hazard", hazard_effects, "exit"),
        ("changes-in-changes", changes_in_changes, "y"),
    ):
        found.append(
            (
                f"{label}, 17 regions left out",
                lambda m=method, o=outcome: m(panel, Design(o, **region)),  # type: ignore[misc]
                "without replicates",
                lambda m=method, o=outcome: m(panel, Design(o, **region), replicates=False),  # type: ignore[misc]
            )
        )
    fit = glm(panel) if peers else None
    if fit is not None:
        found.append(
            ("hazard, cloglog", lambda: hazard_effects(panel, Design("exit", **region)), "statsmodels", fit)
        )
        found.append(
            (
                "incidence, by horizon",
                lambda: incidence_effects(panel, Design("exit", **region)),
                "statsmodels",
                fit,
            )
        )
    small = two_groups(panel)
    theirs = diff_diff(small) if peers else {}
    if theirs:
        pair = small.select(periods=[6, 7])
        found.append(
            (
                "duration, one cohort",
                lambda: duration_effects(small, Design("gone")),
                "diff-diff",
                theirs["duration"],
            )
        )
        found.append(
            (
                "changes-in-changes, 2 × 2",
                lambda: changes_in_changes(pair, Design("y")),
                "diff-diff",
                theirs["changes"],
            )
        )
    return found


def agree(panel: Panel) -> None:
    """Stop if the kit and its peers do not give the same numbers."""
    fit = glm(panel)
    if fit is not None:
        mine = hazard_effects(panel, Design("exit", cluster="region"))
        np.testing.assert_allclose(mine.values[0], fit().params[0], rtol=1e-6)  # type: ignore[attr-defined]
    small = two_groups(panel)
    theirs = diff_diff(small)
    if theirs:
        mine = duration_effects(small, Design("gone"))
        np.testing.assert_allclose(mine.values.mean(), theirs["duration"]().att, rtol=1e-8)  # type: ignore[attr-defined]
        point = changes_in_changes(small.select(periods=[6, 7]), Design("y"), quantiles=()).values[0]
        # the peer skips order statistics by rounding (tests/reference/test_changes_in_changes.py)
        np.testing.assert_allclose(point, theirs["changes"]().att, atol=0.02)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn of support and ties
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        panel = world(units)
        peers = units < 100_000
        if peers:
            agree(panel)
        for label, call, name, yardstick in lines(panel, peers):
            seconds, theirs = timed([call, yardstick], args.repeat if peers else 1)
            print(line(units, label, seconds, name, theirs, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
