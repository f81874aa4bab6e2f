"""Times the wild cluster bootstrap against explicit resampling in numpy, and pyfixest's wildboottest where it is installed.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/wild_bootstrap.py [--repeat 15]

One process, the same fit: 14 clusters of 40 firms, ten years, a covariate; all 16,384 sign patterns (8,192 computed, the others
are their mirror images), or 9,999 draws. "resampling" draws bootstrap outcomes and computes t* from the demeaned rows, all draws at
once in blocks (no loop over draws); it is a yardstick of what the algebra on moments saves, not a package. The p-values of
both are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
from _measuring import HEADER, line, peak_of, timed

from evalkit.arrays.wild_bootstrap import drawn, enumerated
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import score_bootstrap, wild_bootstrap, wild_draws
from evalkit.inference.wild_plan import SEED
from evalkit.panel import Panel

CLUSTERS, FIRMS, YEARS = 14, 40, 10
DRAWS = 9_999


def simulate(seed: int = 1) -> Panel:
    """Five treated provinces, shocks of province and year."""
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(CLUSTERS), FIRMS)
    years = np.arange(2010, 2010 + YEARS)
    adoption = np.where(region < 5, 2015.0, np.inf)
    x = rng.normal(size=(len(region), YEARS))
    shock = rng.normal(size=(CLUSTERS, YEARS))[region]
    y = rng.normal(size=(len(region), 1)) + 0.5 * shock + 0.3 * x + rng.normal(size=x.shape)
    y += 0.3 * (years >= adoption[:, None])
    return Panel(np.arange(len(region)), years, {"y": y, "x": x}, {"adoption": adoption, "region": region})


def two_means(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()


def resampling(panel: Panel, weights: np.ndarray, block: int = 256) -> float:
    """p of the treatment from bootstrap outcomes: y* = fit under the null + signed residuals, t* of each by least squares."""
    d = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    x = np.stack([two_means(d).ravel(), two_means(panel.values("x")).ravel()], axis=1)
    y = two_means(panel.values("y")).ravel()
    cluster = np.repeat(panel.clusters("region")[0], YEARS)
    bread = np.linalg.inv(x.T @ x)
    load = x @ bread[:, 0]
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))

    def t_of(outcomes: np.ndarray) -> np.ndarray:
        """t statistics of outcomes in columns, already demeaned  # (b,)"""
        beta = bread @ (x.T @ outcomes)
        scores = np.add.reduceat(load[:, None] * (outcomes - x @ beta), starts, axis=0)
        out: np.ndarray = beta[0] / np.sqrt(np.square(scores).sum(axis=0))
        return out

    slope = (x[:, 1] @ y) / (x[:, 1] @ x[:, 1])
    fit = slope * x[:, 1]
    t, residual = t_of(y[:, None])[0], y - fit
    beyond = 0
    for low in range(0, len(weights), block):
        v = weights[low : low + block].T[cluster]
        outcomes = fit[:, None] + v * residual[:, None]
        shaped = outcomes.reshape(-1, YEARS, outcomes.shape[1])
        shaped = shaped - shaped.mean(axis=1, keepdims=True) - shaped.mean(axis=0) + shaped.mean(axis=(0, 1))
        beyond += int((np.abs(t_of(shaped.reshape(outcomes.shape))) >= abs(t) * (1 - 1e-10)).sum())
    return beyond / len(weights)


def peer(panel: Panel) -> Callable[[], object] | None:
    """pyfixest's wildboottest, if the package that it calls is there."""
    if importlib.util.find_spec("pyfixest") is None or importlib.util.find_spec("wildboottest") is None:
        return None
    import pyfixest

    frame = panel.to_long()
    frame["d"] = (frame["period"] >= frame["adoption"]).astype(float)
    fit = pyfixest.feols("y ~ d + x | unit + period", frame, vcov={"CRV1": "region"})
    return lambda: fit.wildboottest(param="d", cluster="region", reps=DRAWS)


def agreed(panel: Panel, est: Estimate, patterns: np.ndarray, weights: np.ndarray) -> None:
    """The p-values of the kit and of explicit resampling."""
    ours = wild_bootstrap(est, [0], kind="WCR-C")[0].p_value
    assert abs(ours - resampling(panel, patterns)) < 1e-12, "enumerated p-values differ"
    drawn_p = wild_bootstrap(est, [0], kind="WCR-C", enumerate_patterns=False)[0].p_value
    theirs = (1 + resampling(panel, weights) * DRAWS) / (DRAWS + 1)
    assert abs(drawn_p - theirs) < 1e-12, "p-values of the same draws differ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15)
    repeat = parser.parse_args().repeat
    panel = simulate()
    est = two_way_effects(panel, Design("y", covariates=("x",), cluster="region"))
    study = two_way_event_study(panel, Design("y", cluster="region"))
    patterns, weights = enumerated(CLUSTERS), next(drawn("rademacher", DRAWS, CLUSTERS, SEED))
    agreed(panel, est, patterns, weights)
    print("p-values agree; pyfixest's wildboottest: ", end="")
    other = peer(panel)
    print("timed below" if other else "not installed (needs the package wildboottest)")
    print(HEADER)
    [slow] = timed([lambda: resampling(panel, patterns)], 3)
    cases: list[tuple[str, Callable[[], object]]] = [
        (
            "WCR-C, 9,999 draws: t* and p",
            lambda: wild_draws(est, [0], kind="WCR-C", enumerate_patterns=False),
        ),
        ("WCR-S, 9,999 draws: t* and p", lambda: wild_draws(est, [0], enumerate_patterns=False)),
        ("WCR-S, 9,999 draws: p, exact interval", lambda: wild_bootstrap(est, [0], enumerate_patterns=False)),
        ("WCR-S, enumerated: t* and p", lambda: wild_draws(est, [0])),
        ("WCR-S, enumerated: p, exact interval", lambda: wild_bootstrap(est, [0])),
        ("WCR-B, enumerated: p, exact interval", lambda: wild_bootstrap(est, [0], kind="WCR-B")),
        (f"WCR-S, enumerated: {len(study)} event times, t*", lambda: wild_draws(study)),
        ("KS score bootstrap, enumerated", lambda: score_bootstrap(est, [0], kind="KS")),
    ]
    seconds = timed([call for _, call in cases], repeat)
    for (name, call), took in zip(cases, seconds, strict=True):
        print(line(CLUSTERS * FIRMS, name, took, "resampling (numpy)", slow, peak_of(call)))
    if other:
        [took] = timed([other], 3)
        print(line(CLUSTERS * FIRMS, "WCR-C, 9,999 draws: t* and p", seconds[0], "pyfixest", took, 0.0))


if __name__ == "__main__":
    main()
