"""Times entropy balancing, propensity weights and matching against diff_diff, statsmodels and scipy.

    OPENBLAS_NUM_THREADS=1 python benchmarks/balancing.py [--repeat 5]

One process, the same arrays: firms with ten covariates, about one in eight treated. Before anything is timed the weights
are compared. "scipy" is a minimiser of the same dual with its gradient; statsmodels fits the logit only.
"""

from __future__ import annotations

import argparse
import importlib.util

import numpy as np
from _measuring import HEADER, line, peak_of, timed
from scipy.optimize import minimize

from evalkit.balancing import Balancing, entropy_balancing, inverse_probability, matching
from evalkit.design import Design
from evalkit.panel import Panel

NAMES = tuple(f"x{j}" for j in range(10))
DESIGN = Design("y", covariates=NAMES)


def firms(n: int, seed: int = 1) -> tuple[Panel, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 10))
    treated = rng.random(n) < 1 / (1 + np.exp(2.2 - 0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.3 * x[:, 2]))
    fixed = {"adoption": np.where(treated, 2.0, np.inf), **{name: x[:, j] for j, name in enumerate(NAMES)}}
    return Panel(np.arange(n), np.array([1]), {"y": np.zeros((n, 1))}, fixed), x, treated


def shares(b: Balancing) -> np.ndarray:
    own = b.weights[b.comparison]
    return np.asarray(own / own.sum())


def by_scipy(x: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """The dual by BFGS."""
    z = x[~treated] - x[treated].mean(axis=0)

    def loss(coef: np.ndarray) -> tuple[float, np.ndarray]:
        w = np.exp(z @ coef)
        return float(np.log(w.sum())), (w @ z) / w.sum()

    coef = minimize(loss, np.zeros(10), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    w = np.exp(z @ coef)
    return np.asarray(w / w.sum())


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeat", type=int, default=5)
    given = options.parse_args()
    print(HEADER)
    for n in (2_000, 20_000, 200_000):
        panel, x, treated = firms(n)
        ours = lambda p=panel: entropy_balancing(p, DESIGN)  # noqa: E731
        wanted = shares(ours())
        calls = {"scipy BFGS": lambda a=x, t=treated: by_scipy(a, t)}
        np.testing.assert_allclose(by_scipy(x, treated), wanted, rtol=1e-4)
        if importlib.util.find_spec("diff_diff"):
            from diff_diff.balancing import entropy_balance

            def theirs(a: np.ndarray = x, t: np.ndarray = treated) -> np.ndarray:
                return np.asarray(entropy_balance(a[~t], a[t].mean(axis=0), tol=1e-10)[0])

            found = theirs()
            np.testing.assert_allclose(found / found.sum(), wanted, rtol=1e-6)
            calls["diff_diff"] = theirs
        peak = peak_of(ours)
        for name, call in calls.items():
            seconds, other = timed([ours, call], given.repeat)
            print(line(n, "entropy balancing, 10 covariates", seconds, name, other, peak))
        if importlib.util.find_spec("statsmodels"):
            import statsmodels.api as sm

            logit = lambda p=panel: inverse_probability(p, DESIGN)  # noqa: E731
            design = sm.add_constant(x)

            def by_statsmodels(t: np.ndarray = treated, d: np.ndarray = design) -> np.ndarray:
                return np.asarray(sm.Logit(t.astype(float), d).fit(disp=0, tol=1e-10).params)

            np.testing.assert_allclose(logit().detail["coefficients"], by_statsmodels(), rtol=1e-6, atol=1e-8)
            seconds, other = timed([logit, by_statsmodels], given.repeat)
            print(line(n, "propensity weights", seconds, "statsmodels Logit", other, peak_of(logit)))
        if n <= 20_000:
            near = lambda p=panel: matching(p, DESIGN)  # noqa: E731
            cloud = lambda p=panel: matching(p, DESIGN, on="mahalanobis")  # noqa: E731
            a, b = timed([near, cloud], 1)
            print(line(n, "matching on the propensity", a, "Mahalanobis", b, peak_of(near)))


if __name__ == "__main__":
    main()
