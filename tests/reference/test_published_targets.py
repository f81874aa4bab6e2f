"""Published headline numbers: R's numbers on the same files (published_targets.json), reproduced case by case.

Points 1e-8 and errors 1e-6. A case is a function of this file, or stands in NOT_COVERED with the reason. Where R counts
more parameters than there are (region × year spelled as three overlapping interactions) the exact factor is asserted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit import aggregate
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import bias_reduced, cluster_robust
from evalkit.panel import Panel

POINTS, ERRORS = 1e-8, 1e-6
NOT_COVERED = {
    f"wood-pj-{kind}": "efficient only where the timing is as good as random; the data are not among the files"
    for kind in ("simple", "cohort", "calendar")
}
CONTROLS = (
    "l_police", "unemployrt", "poverty", "l_income", "l_prisoner", "l_lagprisoner", "blackm_15_24", "whitem_15_24",
    "blackm_25_44", "whitem_25_44", "l_exp_subsidy", "l_exp_pubwelfare",
)  # fmt: skip
HOUSES = ("age", "agesq", "intst", "land", "area", "rooms", "baths")


@cache
def targets() -> dict[str, dict[str, Any]]:
    text = (GOLDEN / "open" / "published_targets.json").read_text(encoding="utf-8")
    return {case["id"]: case["result"] for case in json.loads(text)["cases"]}


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "data" / f"{name}.csv")


def agree(estimate: Estimate, names: list[Any], points: Any, errors: Any = None) -> None:
    """The named terms, in the order of the reference."""
    at = [[t[0] for t in estimate.terms].index(name) for name in names]
    np.testing.assert_allclose(estimate.values[at], np.atleast_1d(points), rtol=POINTS)
    if errors is not None:
        np.testing.assert_allclose(estimate.std_errors[at], np.atleast_1d(errors), rtol=ERRORS)


# -- two-way regressions ---------------------------------------------------------------------------------


@cache
def castle() -> Panel:
    frame = read("castle")
    frame["region4"] = (frame[["northeast", "midwest", "south"]] * [1, 2, 3]).sum(axis=1)
    return Panel.from_long(
        frame, unit="sid", period="year", varying=["l_homicide", "cdl", *CONTROLS], fixed=["popwt", "region4"]
    )


def castle_case(case: str, weight: str | None) -> None:
    """The fraction of the year in which the law was in effect."""
    found = two_way_effects(castle(), Design("l_homicide", weight=weight), treatment="cdl")
    agree(found, ["cdl"], targets()[case]["estimate"], targets()[case]["se"])


def castle_by_region(case: str, covariates: tuple[str, ...]) -> None:
    """K of the reference: 11 years, and 22 levels less one for each of the three overlapping interactions."""
    design = Design("l_homicide", covariates=covariates, weight="popwt")
    found = two_way_effects(castle(), design, treatment="cdl", within="region4")
    detail, result = found.detail, targets()[case]
    ours = detail["n_regressors"] + detail["n_period_effects"]
    assert ours == 1 + len(covariates) + 44
    theirs = 1 + len(covariates) + 11 + 3 * (2 * 11 - 1)
    scale = np.sqrt((detail["n_obs"] - ours) / (detail["n_obs"] - theirs))
    agree(found, ["cdl"], result["estimate"])
    np.testing.assert_allclose(found.std_errors[0] * scale, result["se"], rtol=ERRORS)


def papke(case: str, outcome: str, treatment: str) -> None:
    """Enterprise zones; the growth of claims with city effects is the random growth model."""
    frame = read("ezunem")
    panel = Panel.from_long(frame, unit="city", period="year", varying=[outcome, treatment])
    found = cluster_robust(two_way_effects(panel, Design(outcome), treatment=treatment), "iid")
    agree(found, [treatment], targets()[case]["estimate"], targets()[case]["se"])


def papke_differences() -> None:
    """Growth on the change of the zone, with years: the period model; and first differences of the levels."""
    panel = Panel.from_long(
        read("ezunem"), unit="city", period="year", varying=["luclms", "guclms", "ez", "cez"]
    )
    found = panel_regression(
        panel, Design("guclms"), model="period", regressors=("cez",), covariance="classic"
    )
    result = targets()["papke-fd"]
    agree(found, ["cez"], result["estimate"], result["se"])
    later = panel.periods[2:]  # the constant stands for the change into the second year
    years = {f"from_{t}": np.broadcast_to((panel.periods >= t).astype(float), panel.shape) for t in later}
    wide = panel.with_varying(**years)
    again = panel_regression(
        wide,
        Design("luclms"),
        model="first_difference",
        regressors=("ez", *years),
        covariance="classic",
        drift=True,
    )
    agree(again, ["ez"], result["estimate"], result["se"])


def divorce() -> None:
    """Years since unilateral divorce by classes of two years; the class before the law is left out."""
    frame = read("divorce")
    result = targets()["divorce-SW-table1"]
    classes = [int(term.split("::")[1]) for term in result["term"]]
    for value in classes:
        frame[f"class_{value}"] = (frame["chyrspos"] == value).astype(float)
    names = [f"class_{value}" for value in classes]
    panel = Panel.from_long(frame, unit="st", period="year", varying=["suiciderate_elast_jag", *names])
    design = Design("suiciderate_elast_jag", covariates=tuple(names[1:]))
    found = two_way_effects(panel, design, treatment=names[0])
    agree(found, names, np.array(result["estimate_percent"]) / 100)


def organ() -> None:
    """California's active choice from the third quarter of 2011."""
    frame = read("organ_donations")
    frame["adoption"] = np.where(frame["State"] == "California", 4.0, np.inf)
    assert set(frame.loc[frame["Quarter_Num"] == 4, "Quarter"]) == {"Q32011"}
    panel = Panel.from_long(frame, unit="State", period="Quarter_Num", varying=["Rate"], fixed=["adoption"])
    found = cluster_robust(two_way_effects(panel, Design("Rate")), "CV1")
    agree(found, [found.terms[0][0]], targets()["organ"]["estimate"], targets()["organ"]["se"])


def mortality() -> None:
    """Legal drinking and deaths on the road, years before 1984; CR1 has G/(G − 1) alone."""
    frame = read("mortality_mv").query("year < 1984")
    panel = Panel.from_long(frame, unit="state", period="year", varying=["mrate", "legal", "beertaxa"])
    found = two_way_effects(panel, Design("mrate", covariates=("beertaxa",)), treatment="legal")
    result = targets()["mortality-CR2"]
    names = ["legal", "beertaxa"]
    agree(found, names, result["CR1"]["beta"])
    plain = cluster_robust(found, "CR0")
    clusters = len(found.cluster_labels)
    assert [clusters - 1] * 2 == result["CR1"]["df_t"]
    np.testing.assert_allclose(
        plain.std_errors * np.sqrt(clusters / (clusters - 1)), result["CR1"]["SE"], rtol=ERRORS
    )
    reduced = bias_reduced(found)
    agree(reduced, names, result["CR2"]["beta"], result["CR2"]["SE"])
    np.testing.assert_allclose(reduced.dof, result["CR2"]["df_Satt"], rtol=ERRORS)
    np.testing.assert_allclose(reduced.table()["p_value"], result["CR2"]["p_Satt"], rtol=ERRORS)


# -- staggered adoption ----------------------------------------------------------------------------------


@cache
def minimum_wage() -> Estimate:
    frame = read("mpdta")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    panel = Panel.from_long(frame, unit="countyreal", period="year", varying=["lemp"], fixed=["adoption"])
    return group_time_effects(panel, Design("lemp", comparison="never", base="varying"), method="reg")


def minimum_wage_case(case: str) -> None:
    result = targets()[case]
    parts = None
    if case == "mpdta-simple":
        total = aggregate.overall(minimum_wage())
    elif case == "mpdta-group":
        parts = aggregate.by_cohort(minimum_wage())
        total = aggregate.cohort_average(parts)
    else:
        parts = aggregate.event_study(minimum_wage())
        total = aggregate.average(parts)
    agree(total, [total.terms[0][0]], result["overall_att"], result["overall_se"])
    assert (parts is None) == (result["egt"] is None)
    if parts is not None:
        assert [t[0] for t in parts.terms] == result["egt"]
        agree(parts, result["egt"], result["att"], result["se"])


def sunab() -> None:
    frame = read("base_stagg")
    frame["adoption"] = frame["year_treated"].where(frame["year_treated"] < 10_000, np.inf)
    panel = Panel.from_long(frame, unit="id", period="year", varying=["y", "x1"], fixed=["adoption"])
    found = sun_abraham_effects(panel, Design("y", covariates=("x1",)), by="overall")
    result = targets()["base_stagg-sunab"]
    agree(found, [found.terms[0][0]], result["att"], result["se"])


# -- panel regressions -----------------------------------------------------------------------------------


def pooled_interaction(
    case: str, frame: pd.DataFrame, outcome: str, group: str, after: str, more: Any
) -> None:
    """Group, after and their product on units that are seen once."""
    frame = frame.assign(row=np.arange(len(frame)), both=frame[group] * frame[after], date=frame[after])
    names = [group, after, "both", *more]
    panel = Panel.from_long(frame, unit="row", period="date", varying=[outcome], fixed=names)
    found = panel_regression(
        panel, Design(outcome), model="pooled", regressors=names, covariance="classic", replicates=False
    )
    agree(found, ["both"], targets()[case]["estimate"], targets()[case]["se"])
    assert found.detail["n_obs"] == len(frame)


def incinerator(case: str, more: tuple[str, ...]) -> None:
    pooled_interaction(case, read("kielmc"), "rprice", "nearinc", "y81", more)


def injury(state: str) -> None:
    """Benefits of high earners."""
    frame = read("injury")
    frame = frame[frame[state] == 1].reset_index(drop=True)
    pooled_interaction(f"injury-{state}", frame, "ldurat", "highearn", "afchnge", ())


def grunfeld(case: str, model: Any) -> None:
    panel = Panel.from_long(read("grunfeld"), unit="firm", period="year", varying=["inv", "value", "capital"])
    _classic(case, panel, "inv", model)


def produc(case: str, model: Any) -> None:
    frame = read("produc")
    for new, old in (("lgsp", "gsp"), ("lpcap", "pcap"), ("lpc", "pc"), ("lemp", "emp")):
        frame[new] = np.log(frame[old])
    names = ["lgsp", "lpcap", "lpc", "lemp", "unemp"]
    _classic(case, Panel.from_long(frame, unit="state", period="year", varying=names), "lgsp", model)


def _classic(case: str, panel: Panel, outcome: str, model: Any) -> None:
    result = targets()[case]
    found = panel_regression(
        panel, Design(outcome), model=model, regressors=result["term"], covariance="classic"
    )
    agree(found, result["term"], result["estimate"], result["se"])


def wages(case: str, model: Any, more: tuple[str, ...]) -> None:
    """Married and union; years as dummies."""
    frame = read("wagepan")
    dummies = [f"d{year}" for year in range(1981, 1988)]
    for name in dummies:
        frame[name] = (frame["year"] == int(name[1:])).astype(float)
    varying = ["exper", "expersq", "married", "union", *dummies]
    panel = Panel.from_long(
        frame, unit="nr", period="year", varying=["lwage", *varying], fixed=["educ", "black", "hisp"]
    )
    found = panel_regression(
        panel,
        Design("lwage"),
        model=model,
        regressors=[*more, "expersq", "married", "union", *dummies],
        covariance="classic",
        replicates=False,
    )
    result = targets()[case]
    agree(found, result["term"], result["estimate"], result["se"])


def petersen() -> None:
    """Clusters of the period alone: the years as units."""
    frame, result = read("petersen"), targets()["petersen"]
    by_firm = Panel.from_long(frame, unit="firm", period="year", varying=["y", "x"])
    by_year = Panel.from_long(frame, unit="year", period="firm", varying=["y", "x"])
    menu: dict[str, tuple[Panel, Any]] = {
        "iid": (by_firm, "classic"),
        "hetero": (by_firm, "robust"),
        "firm": (by_firm, "cluster"),
        "year": (by_year, "cluster"),
        "both": (by_firm, "cluster_period"),
    }
    assert {"coef", *menu} == set(result)
    for name, (panel, covariance) in menu.items():
        found = panel_regression(
            panel, Design("y"), model="pooled", regressors=("x",), covariance=covariance, replicates=False
        )
        agree(found, ["x"], result["coef"]["x"], result[name]["x"])


CASES: dict[str, Callable[[], None]] = {
    "castle-CH-col1": lambda: castle_case("castle-CH-col1", "popwt"),
    "castle-post-unweighted": lambda: castle_case("castle-post-unweighted", None),
    "castle-CH-cdl-regionyear": lambda: castle_by_region("castle-CH-cdl-regionyear", ()),
    "castle-CH-cdl-controls": lambda: castle_by_region("castle-CH-cdl-controls", CONTROLS),
    "mpdta-dynamic": lambda: minimum_wage_case("mpdta-dynamic"),
    "mpdta-group": lambda: minimum_wage_case("mpdta-group"),
    "mpdta-simple": lambda: minimum_wage_case("mpdta-simple"),
    "papke-fe": lambda: papke("papke-fe", "luclms", "ez"),
    "papke-fd": papke_differences,
    "papke-random-growth": lambda: papke("papke-random-growth", "guclms", "cez"),
    "kielmc-1": lambda: incinerator("kielmc-1", ()),
    "kielmc-2": lambda: incinerator("kielmc-2", HOUSES[:2]),
    "kielmc-3": lambda: incinerator("kielmc-3", HOUSES),
    "injury-ky": lambda: injury("ky"),
    "injury-mi": lambda: injury("mi"),
    "divorce-SW-table1": divorce,
    "grunfeld-within": lambda: grunfeld("grunfeld-within", "fixed"),
    "grunfeld-random": lambda: grunfeld("grunfeld-random", "random"),
    "produc-within": lambda: produc("produc-within", "fixed"),
    "produc-swar": lambda: produc("produc-swar", "random"),
    "wagepan-fe": lambda: wages("wagepan-fe", "fixed", ()),
    "wagepan-re": lambda: wages("wagepan-re", "random", ("educ", "black", "hisp", "exper")),
    "organ": organ,
    "mortality-CR2": mortality,
    "petersen": petersen,
    "base_stagg-sunab": sunab,
}


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    CASES[case]()


@needs_golden
def test_every_case_is_tested_or_named() -> None:
    assert set(targets()) == set(CASES) | set(NOT_COVERED)
    assert not set(CASES) & set(NOT_COVERED)
