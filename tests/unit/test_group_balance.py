"""Balance of groups against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from pandas import DataFrame

from evalkit.checks.group_balance import group_balance
from evalkit.errors import DataError

N = 240


@pytest.fixture(scope="module")
def frame() -> DataFrame:
    rng = np.random.default_rng(5)
    group = rng.choice(["none", "first", "second"], N)
    cluster = rng.integers(0, 20, N)
    jobs = 20 + 3 * (group == "first") + rng.normal(0, 5, N) + 0.5 * cluster
    sales = rng.lognormal(3, 1, N)
    sales[::17] = np.nan
    return DataFrame(
        {
            "group": group,
            "cluster": cluster,
            "stratum": cluster % 4,
            "jobs": jobs,
            "sales": sales,
            "w": rng.uniform(0.5, 2, N),
        }
    )


def found(frame: DataFrame, **options: object):  # type: ignore[no-untyped-def]
    columns = {name: frame[name].to_numpy() for name in ("jobs", "sales")}
    return group_balance(columns, frame["group"].to_numpy(), reference="none", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_differences_are_those_of_a_regression(
    frame: DataFrame, clustered: bool, strata: bool, weighted: bool
) -> None:
    ours = found(
        frame,
        cluster=frame["cluster"].to_numpy() if clustered else None,
        strata=frame["stratum"].to_numpy() if strata else None,
        weights=frame["w"].to_numpy() if weighted else None,
    )
    for name in ("jobs", "sales"):
        data = frame.dropna(subset=[name])
        formula = f"{name} ~ C(group, Treatment('none'))" + (" + C(stratum)" if strata else "")
        model = smf.wls(formula, data, weights=data["w"] if weighted else np.ones(len(data)))
        groups = data["cluster"].to_numpy()
        fit = (
            model.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
            if clustered
            else model.fit(cov_type="HC1", use_t=True)
        )
        for group in ("first", "second"):
            term = f"C(group, Treatment('none'))[T.{group}]"
            row = ours.differences.loc[(name, group)]
            np.testing.assert_allclose(row["difference"], fit.params[term], rtol=1e-9)
            np.testing.assert_allclose(row["std_error"], fit.bse[term], rtol=1e-9)
            np.testing.assert_allclose(row["p_value"], fit.pvalues[term], rtol=1e-7)
        terms = [t for t in fit.params.index if "Treatment" in t]
        restriction = np.array([[float(t == p) for p in fit.params.index] for t in terms])
        test = fit.f_test(restriction)
        np.testing.assert_allclose(ours.equality.loc[name, "f"], float(test.fvalue), rtol=1e-8)
        np.testing.assert_allclose(ours.equality.loc[name, "p_value"], float(test.pvalue), rtol=1e-7)


def test_the_joint_test_regresses_the_group_on_all_variables(frame: DataFrame) -> None:
    ours = found(frame, cluster=frame["cluster"].to_numpy())
    data = frame[frame["group"].isin(["none", "first"])].dropna().assign(d=lambda f: f["group"] == "first")
    data["d"] = data["d"].astype(float)
    fit = smf.ols("d ~ jobs + sales", data).fit(
        cov_type="cluster", cov_kwds={"groups": data["cluster"]}, use_t=True
    )
    test = fit.f_test(np.eye(3)[1:])
    row = ours.joint.loc["first"]
    np.testing.assert_allclose(
        [row["f"], row["p_value"]], [float(test.fvalue), float(test.pvalue)], rtol=1e-7
    )
    assert row["n"] == len(data)


def test_moments_by_hand(frame: DataFrame) -> None:
    ours = found(frame).summary.loc[("jobs", "first")]
    own = frame.loc[frame["group"] == "first", "jobs"]
    np.testing.assert_allclose(
        [ours["mean"], ours["sd"], ours["std_error"], ours["n"]],
        [own.mean(), own.std(), own.std() / np.sqrt(len(own)), len(own)],
        rtol=1e-12,
    )
    other = frame.loc[frame["group"] == "none", "jobs"]
    normalised = (own.mean() - other.mean()) / np.sqrt((own.var() + other.var()) / 2)
    np.testing.assert_allclose(found(frame).differences.loc[("jobs", "first"), "normalised"], normalised)


def test_units_may_stand_in_any_order_and_scales_do_not_matter(frame: DataFrame) -> None:
    shuffled = frame.sample(frac=1, random_state=1)
    a = found(frame, cluster=frame["cluster"].to_numpy())
    b = found(shuffled.assign(sales=shuffled["sales"] * 1e6), cluster=shuffled["cluster"].to_numpy())
    for name in ("equality", "joint"):
        left = getattr(a, name)["p_value"]
        np.testing.assert_allclose(left, getattr(b, name)["p_value"].reindex(left.index), rtol=1e-7)


def test_a_variable_that_repeats_another_or_never_varies_does_not_break_the_joint_test(
    frame: DataFrame,
) -> None:
    columns = {"jobs": frame["jobs"], "twice": 2 * frame["jobs"], "one": np.ones(N)}
    row = group_balance(columns, frame["group"], reference="none").joint.loc["first"]
    alone = group_balance({"jobs": frame["jobs"]}, frame["group"], reference="none").joint.loc["first"]
    assert row["dof1"] == 1
    np.testing.assert_allclose(row["p_value"], alone["p_value"], rtol=1e-6)


def test_faults_are_one_sentence(frame: DataFrame) -> None:
    with pytest.raises(DataError, match="'elsewhere' 에 단위가 없음"):
        group_balance({"jobs": frame["jobs"]}, frame["group"], reference="elsewhere")
    with pytest.raises(DataError, match="길이"):
        group_balance({"jobs": [1.0]}, frame["group"], reference="none")
    with pytest.raises(DataError, match="무게"):
        group_balance({"jobs": frame["jobs"]}, frame["group"], reference="none", weights=np.full(N, np.nan))
    with pytest.raises(DataError, match="하나뿐"):
        group_balance({"jobs": frame["jobs"]}, frame["group"], reference="none", order=["none"])
