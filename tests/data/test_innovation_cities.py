"""The ten 혁신도시 on data that none of us made: the whole plan, rendered; skipped where ../shared/data is absent.

Known figures: README of that folder (two-way fixed effects, base 2013, clustered by 시군구). The differences of means
are computed here again with pandas alone.
"""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shared_files import REAL as DATA
from shared_files import needs_real

from evalkit.present.messages import p_value, say
from evalkit.report.pipeline import Outcome, render_plan
from evalkit.report.task import Options
from evalkit.study import Study
from evalkit.study.effect import Effect

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = needs_real

# outcome, year -> coefficient and its standard error (None: not stated)
KNOWN = {
    ("population", 2015): (0.029, 0.012),
    ("population", 2020): (0.072, 0.035),
    ("population", 2024): (0.095, 0.045),
    ("corporations", 2010): (-0.027, None),
    ("corporations", 2011): (-0.024, None),
    ("corporations", 2012): (-0.014, None),
    ("corporations", 2024): (0.155, 0.030),
}
VARIABLES = {"population": "population", "corporations": "nts_biz_corp", "jobs": "nps_members"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cities")
    (root / "plans").mkdir()
    shutil.copy(PROJECT / "plans" / "innovation_cities.yml", root / "plans")
    shutil.copytree(PROJECT / "notebooks", root / "notebooks")
    return root


@pytest.fixture(scope="module")
def rendered(tree: Path) -> Outcome:
    return render_plan(tree / "plans" / "innovation_cities.yml", Options(data=DATA, out=tree / "reports"))


@pytest.fixture(scope="module")
def study(tree: Path, rendered: Outcome) -> Study:
    return Study.open(tree / "plans" / "innovation_cities.yml", data=DATA)


@pytest.fixture(scope="module")
def gaps() -> dict[str, pd.Series]:
    """Outcome → mean log of 14 treated less mean log of 148 others, by year; nothing of the kit is used."""
    panel = pd.read_csv(DATA / "kr_sigungu_panel_2010_2024.csv", dtype={"code": str})
    cities = pd.read_csv(DATA / "hyeoksin_cities_10.csv", dtype=str)
    column = next(c for c in cities.columns if set(cities[c]) <= set(panel["code"]))
    treated = set(cities[column])
    panel = panel[
        (panel["capital_region"] == 0) & (panel["sido"] != "세종특별자치시") & (panel["sido"] != "세종")
    ]
    inside = panel["code"].isin(treated)
    found = {}
    for name, variable in VARIABLES.items():
        logs = np.log(panel.assign(value=panel[variable])["value"])
        means = logs.groupby([panel["year"], inside]).mean().unstack()
        found[name] = (means[True] - means[False]).dropna()
    return found


def by_year(effect: Effect, values: np.ndarray) -> dict[int, float]:
    times = np.asarray(effect.event.terms.get_level_values("event_time"), dtype=int)
    return {int(e) + effect.sample.baseline + 1: float(v) for e, v in zip(times, values, strict=True)}


def read(rendered: Outcome, name: str) -> str:
    """The text of a page, without marks; every kind of blank is one blank."""
    text = (rendered.folder / f"{name}.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def exported(rendered: Outcome, name: str) -> list[dict[str, str]]:
    text = (rendered.folder / "tables" / f"{name}.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# what is known before outcomes are read, and what could change them: for effects, not for the description
BESIDE = ("01b_design_power", "02b_robustness")


def test_the_whole_plan_renders(rendered: Outcome) -> None:
    assert rendered.exit_code == 0, rendered.failed
    assert {p.stem for p in rendered.folder.glob("*.html")} == {
        "index",
        "00_programme",
        "01_data_audit",
        "04_summary",
        "02c_opinions_population",
        "02c_opinions_corporations",
        "02_effect_population_phase1",
        "02_effect_corporations_phase1",
        "02_effect_jobs_phase1",
        *(f"{stem}_{name}_phase1" for stem in BESIDE for name in ("population", "corporations")),
    }
    for path in rendered.folder.glob("*.html"):
        assert 'class="banner simulated"' not in path.read_text(encoding="utf-8"), path.name


def test_who_is_compared(study: Study) -> None:
    for name in VARIABLES:
        effect = study.effect(name, 1)
        assert (effect.n_treated, effect.n_comparison) == (14, 148)
        assert [(s.reason, s.units) for s in effect.sample.flow] == [
            ("all", 229),
            ("excluded", 163),  # 66 of the capital region
            ("excluded", 162),  # 세종
        ]
        assert effect.sample.flow[2].text.startswith("세종시")
        provinces = set(effect.sample.panel.constant("sido"))
        assert len(provinces) == 13
        assert not provinces & {"세종", "서울", "인천", "경기"}
    cities = pd.read_csv(DATA / "hyeoksin_cities_10.csv", dtype=str)
    assert len(study.audit["treated"]) == len(cities) == 14


@pytest.mark.parametrize(("outcome", "year"), list(KNOWN))
def test_known_figures(study: Study, outcome: str, year: int) -> None:
    estimate, error = KNOWN[outcome, year]
    effect = study.effect(outcome, 1)
    assert round(by_year(effect, effect.event.values)[year], 3) == estimate
    if error is not None:
        assert effect.companion_errors is not None
        assert round(by_year(effect, effect.companion_errors)[year], 3) == error


@pytest.mark.parametrize("outcome", list(VARIABLES))
def test_every_year_is_a_difference_of_means(study: Study, gaps: dict[str, pd.Series], outcome: str) -> None:
    """Without covariates and with one cohort the effect is the gap of the year less the gap of the base year."""
    effect = study.effect(outcome, 1)
    base = effect.sample.baseline
    assert base == (2015 if outcome == "jobs" else 2013)
    found = by_year(effect, effect.event.values)
    assert set(found) == set(gaps[outcome].index)
    for year, value in found.items():
        expected = gaps[outcome][year] - gaps[outcome][base]
        assert value == pytest.approx(expected, abs=1e-10), year


def test_two_way_regression_agrees(study: Study) -> None:
    """One cohort, no covariates, nothing missing: the two-way event study has the same coefficients."""
    for outcome in ("population", "corporations"):
        effect = study.effect(outcome, 1)
        assert effect.two_way is not None
        times = effect.two_way.terms.get_level_values("event_time")
        two_way = dict(zip(times, effect.two_way.values, strict=True))
        for time, value in zip(
            effect.event.terms.get_level_values("event_time"), effect.event.values, strict=True
        ):
            if time != -1:
                assert two_way[time] == pytest.approx(value, abs=1e-9)


def test_inference_by_province_leads_and_by_municipality_stands_beside(study: Study) -> None:
    for outcome in VARIABLES:
        effect = study.effect(outcome, 1)
        assert effect.headline.estimate.inference == "CV3"
        assert effect.headline.estimate.dof[0] == 12  # 13 provinces
        assert "IF:sigungu" in effect.headline.companions
        beside = effect.headline.companions["IF:sigungu"]
        assert beside.n_clusters == 162
        assert beside.values[0] == pytest.approx(effect.headline.estimate.values[0], rel=1e-9)


def test_the_headline_by_hand(study: Study, gaps: dict[str, pd.Series]) -> None:
    """Population: mean of 2014–2024 against 2013, in per cent."""
    gap = gaps["population"]
    mean = float((gap.loc[2014:2024] - gap[2013]).mean())
    assert study.effect("population", 1).row(0.95)["estimate"] == pytest.approx(
        100 * np.expm1(mean), rel=1e-9
    )


def test_the_table_of_known_figures_is_printed(rendered: Outcome) -> None:
    for outcome, years in (("population", [2015, 2020, 2024]), ("corporations", [2010, 2011, 2012, 2024])):
        rows = exported(rendered, f"02_effect_{outcome}_phase1__known_{outcome}_1")
        assert [int(row["연도"]) for row in rows] == years
        known, found = (
            [next(v for k, v in row.items() if k.startswith(head) and k.endswith("추정값")) for row in rows]
            for head in ("자료에 딸린", "이 보고서")
        )
        for year, given, own in zip(years, known, found, strict=True):
            assert float(given) == KNOWN[outcome, year][0]
            assert round(float(own), 3) == KNOWN[outcome, year][0]


def test_pension_jobs_are_a_description(study: Study, rendered: Outcome) -> None:
    effect = study.effect("jobs", 1)
    assert effect.description
    assert effect.grade.reasons == ("description_only",)
    text = read(rendered, "02_effect_jobs_phase1")
    assert "효과가 아니" in text
    assert "2015년부터 있어" in text  # the plan's reason
    assert say("study.effect.no_grade", "ko") in text
    assert "메릴랜드 척도 5점 가운데" not in text
    row = next(r for r in exported(rendered, "04_summary__summary") if "국민연금" in r["결과"])
    assert row["근거 등급"] == "–"


def test_a_pre_trend_is_said_aloud(study: Study, rendered: Outcome) -> None:
    """Corporations: a mild pre-trend (README); the page must not hide it."""
    check = next(c for c in study.effect("corporations", 1).checks if c.name == "pre_trends")
    assert (check.verdict, check.reason) == ("fail", "trend_found")
    assert study.effect("corporations", 1).grade.points < 3
    text = read(rendered, "02_effect_corporations_phase1")
    assert say("study.grade.pre_trend_found", "ko") in text
    assert check.p_value is not None
    assert text.count(p_value(check.p_value)) >= 2  # in the answer itself, and among the checks


def test_no_row_of_the_panel_is_lost(study: Study) -> None:
    panel = next(t for t in study.audit["tables"] if t["spec"] == "region_panel")
    assert panel["rows"] == 3435 == panel["flow"][0]["rows"]
    assert study.audit["panels"]["units"]["units"] == 229
    assert study.audit["panels"]["units"]["periods"] == list(range(2010, 2025))


def test_corporations_parted_before_the_agencies_moved(study: Study) -> None:
    """The real data have a finding that the robustness page must tell: placebo dates find an effect."""
    family = study.robustness("corporations", 1).in_time
    assert family.check.reason == "placebo_effect_found"  # type: ignore[union-attr]
    assert list(family.table.index) == [1, 2, 3]  # type: ignore[union-attr]
    event = study.effect("corporations", 1).event
    at = dict(zip(event.terms.get_level_values("event_time"), event.values, strict=True))
    # three years earlier, 2010 is the only base: the mean gap of 2011, 2012 and 2013 over that of 2010
    moved = family.table["estimate"].loc[3]  # type: ignore[union-attr]
    assert moved == pytest.approx((at[-3] + at[-2] + 0.0) / 3 - at[-4], rel=1e-9)


def test_population_is_not_read_before_its_time(study: Study) -> None:
    planned = study.planning("population", 1)
    assert planned.before.periods.tolist() == [2010, 2011, 2012, 2013]
    assert planned.power.simulated.windows == 1  # type: ignore[union-attr]


# -- rings and synthetic comparison: the same numbers with pandas and least squares --------------------------------


def _haversine(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    lat1, lat2 = np.radians(a["cy"].to_numpy())[:, None], np.radians(b["cy"].to_numpy())[None]
    lon1, lon2 = np.radians(a["cx"].to_numpy())[:, None], np.radians(b["cx"].to_numpy())[None]
    half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * np.arcsin(np.sqrt(half))


@pytest.mark.parametrize("outcome", ["population", "corporations"])
def test_rings_by_hand(study: Study, outcome: str) -> None:
    """Unit and year effects on clean cells by dense least squares; what is left of cities and rings, averaged over 2014–24."""
    panel = pd.read_csv(DATA / "kr_sigungu_panel_2010_2024.csv", dtype={"code": str})
    places = pd.read_csv(DATA / "centroids_229_2024.csv", dtype={"code": str})
    cities = pd.read_csv(DATA / "hyeoksin_cities_10.csv", dtype=str)["code"]
    places = places[~places["sido"].isin(["서울", "인천", "경기", "세종"])]
    km = _haversine(places, places[places["code"].isin(cities)]).min(axis=1)
    kind = np.select([km == 0, km <= 20, km <= 40], ["city", "0–20km", "20–40km"], "far")
    kinds = dict(zip(places["code"], kind, strict=True))
    wide = panel[panel["code"].isin(kinds)].pivot(index="code", columns="year", values=VARIABLES[outcome])
    wide = np.log(wide.dropna())
    of = np.array([kinds[code] for code in wide.index])
    y, years = wide.to_numpy(), wide.columns.to_numpy()
    clean = (of == "far")[:, None] | (years < 2014)[None]
    rows, columns = np.nonzero(clean)
    design = np.zeros((len(rows), len(y) + len(years) - 1))
    design[np.arange(len(rows)), rows] = 1.0
    later = columns > 0
    design[np.flatnonzero(later), len(y) + columns[later] - 1] = 1.0
    beta = np.linalg.lstsq(design, y[clean], rcond=None)[0]
    left = y - beta[: len(y)][:, None] - np.r_[0.0, beta[len(y) :]][None]
    after = years >= 2014
    told = {row.values.get("band", "city"): row for row in study.opinion(f"{outcome}_rings").rows}
    for name in ("city", "0–20km", "20–40km"):
        expected = 100 * np.expm1(left[of == name][:, after].mean(axis=0).mean())
        assert told[name].estimate == pytest.approx(expected, rel=1e-6), name
        assert told[name].treated == (of == name).sum()
        assert told[name].comparison == (of == "far").sum()
    assert (of == "city").sum() == 14


@pytest.mark.parametrize("outcome", ["population", "corporations"])
def test_the_synthetic_comparison_is_in_per_cent_and_near_the_leading_one(study: Study, outcome: str) -> None:
    opinion = study.opinion(f"{outcome}_synthetic")
    row, leading = opinion.rows[0], study.effect(outcome, 1).row(0.95)
    assert row.low < leading["estimate"] < row.high
    rank = next(r for r in opinion.rows if r.term == "placebo_rank")
    assert 0 < rank.p_value <= 1
    assert row.estimate > 1  # per cent, not logarithms


def test_what_is_not_identified_is_printed_with_its_needs(rendered: Outcome) -> None:
    page = (rendered.folder / "02c_opinions_population.html").read_text(encoding="utf-8")
    assert "입지선정위원회" in page
    assert "0–20km" in page
