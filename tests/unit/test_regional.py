"""One province against itself: brute force, weights, simultaneous intervals, refusals, and the page."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.helpers.figure_faults import faults
from tests.helpers.small_study import PROVINCE, raw_plan, small_panel, small_study

from evalkit import aggregate
from evalkit.arrays.adjusted_groups import adjusted_groups
from evalkit.arrays.equal_effects import equal_effects, paule_mandel
from evalkit.errors import DesignError, ParameterError, PlanError
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.effect import Effect, leading_average
from evalkit.study.pages import effect_design, effect_numbers, region_places
from evalkit.study.pages import region as page
from evalkit.study.plan import Plan, load_plan
from evalkit.study.plan_base import PROVINCES
from evalkit.study.regional import wider_by_place
from evalkit.study.regional_effect import province_cells, provinces_of_sample, within_province
from evalkit.study.sample import AnalysisSample, draw_sample

Floats = NDArray[np.float64]
FIRMS = {"builder": "firms", "options": {"ring_km": 20.0}, "groups": raw_plan()["units"]["groups"]}


def firms_study(folder: Path, panel: Panel | None = None, lang: str = "ko", **changes: Any) -> Study:
    drawn = small_panel() if panel is None else panel
    named = drawn.with_fixed(log_jobs=drawn.constant("size"))  # a covariate that has words
    design = {**raw_plan()["design"], "covariates": ["log_jobs"]}
    return small_study(folder, named, lang, **{"units": FIRMS, "design": design, **changes})


@pytest.fixture
def sample(tmp_path: Path) -> tuple[Plan, AnalysisSample]:
    study = firms_study(tmp_path)
    return study.plan, draw_sample(study.plan, study.panel(), "jobs", 1)


def without(panel: Panel, province: str, *, supported: bool, keep: int) -> Panel:
    """The panel with so many supported (or unsupported) units of a province left."""
    adopted = np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64))
    inside = np.flatnonzero((panel.constant("sido") == province) & (adopted == supported))
    drop = np.zeros(len(panel.units), dtype=bool)
    drop[inside[keep:]] = True
    return panel.select(~drop)


# -- the estimate ------------------------------------------------------------------------------------


def brute_force(plan: Plan, sample: AnalysisSample, name: str, *, sido: bool) -> Any:
    """`group_time_effects` on this province's supported units and every unsupported one."""
    own = provinces_of_sample(sample) == name
    panel = sample.panel.select((own & sample.treated) | sample.comparison)
    covariates = (*sample.design.covariates, "sido") if sido else sample.design.covariates
    return group_time_effects(
        panel,
        replace(sample.design, cluster=None, covariates=covariates),
        method="reg",
        missing="pairs",
        replicates=True,
    )


@pytest.mark.parametrize("sido", [True, False], ids=["within", "all"])
@pytest.mark.parametrize("holes", [False, True], ids=["full", "gaps"])
def test_every_province_is_what_it_is_alone(tmp_path: Path, sido: bool, holes: bool) -> None:
    panel = small_panel()
    if holes:  # cells of their own samples
        y = np.array(panel.varying["jobs"])
        y[np.random.default_rng(5).random(y.shape) < 0.05] = np.nan
        panel = replace(panel, varying={**panel.varying, "jobs": y})
    study = firms_study(tmp_path, panel)
    sample = draw_sample(study.plan, study.panel(), "jobs", 1)
    names = sorted(set(provinces_of_sample(sample).tolist()))
    found = province_cells(study.plan, sample, 1, names, intercepts=sido)
    at = {str(unit): row for row, unit in enumerate(sample.panel.units)}
    for name in names:
        alone, ours = brute_force(study.plan, sample, name, sido=sido), found[name]
        rows = [at[str(unit)] for unit in alone.units]
        assert list(alone.terms) == list(ours.terms)
        np.testing.assert_allclose(ours.values, alone.values, atol=1e-9)
        np.testing.assert_allclose(ours.std_errors, alone.std_errors, atol=1e-9)
        scale = len(alone.units) / len(sample.panel.units)  # influence is per unit of its own sample
        np.testing.assert_allclose(np.asarray(ours.influence)[rows] * scale, alone.influence, atol=1e-9)
        assert ours.replicates is not None
        known = np.isfinite(alone.replicates)
        np.testing.assert_allclose(ours.replicates[rows][known], alone.replicates[known], atol=1e-9)
        np.testing.assert_array_equal(ours.n_treated, alone.n_treated)


def test_provinces_weigh_up_to_the_effect_on_all(sample: tuple[Plan, AnalysisSample]) -> None:
    """Weighted by supported units they are the same regression on every supported unit together."""
    plan, drawn = sample
    names = sorted(set(provinces_of_sample(drawn).tolist()))
    cells = province_cells(plan, drawn, 1, names)
    times = (0, 1, 2)
    own = {n: aggregate.average(aggregate.event_study(cells[n]), times).values[0] for n in names}
    counts = {n: int((drawn.treated & (provinces_of_sample(drawn) == n)).sum()) for n in names}
    together = group_time_effects(
        drawn.panel,
        replace(drawn.design, cluster=None, covariates=(*drawn.design.covariates, "sido")),
        method="reg",
        missing="pairs",
        replicates=False,
    )
    whole = aggregate.average(aggregate.event_study(together), times).values[0]
    weighted = sum(own[n] * counts[n] for n in names) / sum(counts.values())
    assert weighted == pytest.approx(whole, abs=1e-9)
    assert len({round(v, 6) for v in own.values()}) == len(names)  # a mean of unlike things


def test_a_group_outside_what_the_untreated_span_has_no_value() -> None:
    rng = np.random.default_rng(1)
    place = np.repeat([0, 1], 6)
    x = np.column_stack([np.ones(12), place == 1])
    untreated = (np.arange(12) % 2 == 0) & (place == 0)
    group = np.where(np.arange(12) % 2 == 1, place, -1)
    made = adjusted_groups(rng.normal(size=12), x, untreated, group, 3)
    assert np.isfinite(made.values[0])
    assert np.isnan(made.values[1:]).all()  # nobody to compare with; nobody in it
    assert np.isnan(made.deleted[:, 1]).all()


def test_the_inference_counts_firms_of_the_province(sample: tuple[Plan, AnalysisSample]) -> None:
    plan, drawn = sample
    found = within_province(plan, drawn, 1, "강원", province_cells(plan, drawn, 1, ["강원"])["강원"])
    assert found.headline.name == "CV3"
    assert found.headline.p_value_allowed
    assert (found.counts.effective_treated, found.counts.effective_comparison) == (5.0, 7.0)
    # the supported side has four degrees of freedom, both together at most those of twelve firms
    assert 4 <= float(found.average.dof[0]) <= 10
    assert found.horizon == (0, 1, 2)


# -- beside one another ------------------------------------------------------------------------------


def test_simultaneous_intervals_hold_together() -> None:
    """Direct simulation: estimates with drawn errors miss somewhere in about one world of twenty."""
    rng = np.random.default_rng(4)
    errors, dof = np.linspace(0.5, 3.0, 9), np.linspace(8.0, 40.0, 9)
    correlation = np.full((9, 9), 0.1) + 0.9 * np.eye(9)
    root = np.linalg.cholesky(correlation)
    critical = equal_effects(np.zeros(9), errors, dof, correlation).critical
    worlds = 20_000
    missed = np.abs(rng.standard_normal((worlds, 9)) @ root.T * errors)
    studied = errors * np.sqrt(rng.chisquare(dof, (worlds, 9)) / dof)
    inside = (missed <= critical * studied).all(axis=1).mean()
    assert inside == pytest.approx(0.95, abs=0.006)
    assert critical > 2.7  # one interval alone would need 2.0 to 2.3


def test_the_test_of_equality_keeps_its_level_with_a_dozen_firms() -> None:
    """Means of five provinces of unequal spread from 8 units each: χ² rejects too often, the drawn test does not."""
    from scipy.special import chdtrc

    rng = np.random.default_rng(9)
    spread, n, worlds = np.array([1.0, 2.0, 3.0, 1.5, 0.7]), 8, 400
    rejected = np.zeros(2)
    for _ in range(worlds):
        y = rng.normal(size=(5, n)) * spread[:, None]
        errors = y.std(axis=1, ddof=1) / np.sqrt(n)
        found = equal_effects(y.mean(axis=1), errors, np.full(5, n - 1.0), np.eye(5), draws=500)
        rejected += [found.p_value < 0.05, chdtrc(4, found.statistic) < 0.05]
    assert rejected[0] / worlds < 0.09
    assert rejected[1] / worlds > 0.10


def test_the_spread_beyond_errors() -> None:
    errors = np.full(6, 1.0)
    values = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    # equal errors: τ² = variance − error²
    assert paule_mandel(values, errors) == pytest.approx(np.sqrt(values.var(ddof=1) - 1))
    assert paule_mandel(values / 10, errors) == 0.0
    found = equal_effects(values, errors, np.full(6, np.inf), np.eye(6), draws=2_000)
    np.testing.assert_allclose(found.shrunk, values * found.tau**2 / (found.tau**2 + 1))
    assert found.p_value < 0.01
    alike = equal_effects(values / 10, errors, np.full(6, np.inf), np.eye(6), draws=2_000)
    np.testing.assert_allclose(alike.shrunk, 0.0, atol=1e-12)
    assert alike.p_value > 0.9
    assert alike.lowest == pytest.approx(-1.267, abs=0.06)  # mean smallest of six normal draws


def test_provinces_side_by_side(tmp_path: Path) -> None:
    study = firms_study(tmp_path)
    found = study.regional("jobs", 1, "충남")
    rows = found.beside.rows
    assert list(rows.index) == [name for name in PROVINCES if name in set(PROVINCE)]
    assert (rows["all_low"] < rows["conf_low"]).all()
    assert (rows["all_high"] > rows["conf_high"]).all()
    assert isinstance(found.effect, Effect)
    assert found.effect.row(0.95)["estimate"] == pytest.approx(rows.loc["충남", "estimate"])
    national = study.effect("jobs", 1)
    lead, n = leading_average(study.plan, draw_sample(study.plan, study.panel(), "jobs", 1), 1)
    assert lead.first(0.95) == pytest.approx(national.headline.first(0.95))
    assert (found.national["n"], n) == (national.n_treated, national.n_treated)
    assert found.supported == {2018: 5}
    wider = wider_by_place(found.beside, "충남", 0.95)
    assert wider["conf_low"] <= rows.loc["충남", "conf_low"]


def test_one_province_among_all_firms_has_no_interval(tmp_path: Path) -> None:
    found = firms_study(tmp_path).regional("jobs", 1, "충북")
    assert not isinstance(found.against_all, DesignError)
    assert not found.against_all.p_value_allowed
    assert found.against_all.reasons[0] == "one_cluster_on_one_side"
    assert np.isnan(found.against_all.estimate.std_errors).all()


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("supported", "words"), [(True, "지원받아 견줄 수 있는 기업이 3곳보다 적다"), (False, "견줄 상대가 없다")]
)
def test_a_province_with_too_few_firms_is_told_so(
    tmp_path: Path, shown: list[Any], supported: bool, words: str
) -> None:
    study = firms_study(tmp_path, without(small_panel(), "전남", supported=supported, keep=2))
    found = study.regional("jobs", 1, "전남")
    assert isinstance(found.effect, DesignError)
    assert "전남" in found.beside.refused
    assert "전남" not in found.beside.rows.index
    text = told(study, found, shown)
    assert words in text
    if supported:  # two firms: no number of theirs, not even without an interval
        assert "p값과 구간을 적지 않으며" not in text
        assert "3곳보다 적다" in text


def test_a_province_of_nobody_has_a_page(tmp_path: Path, shown: list[Any]) -> None:
    study = firms_study(tmp_path)
    found = study.regional("jobs", 1, "제주")
    assert found.used == (0, 0)
    assert found.supported == {}
    assert "제주" in told(study, found, shown)


def test_a_province_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"부싼.*부산"):
        firms_study(tmp_path).regional("jobs", 1, "부싼")


def test_municipalities_are_no_firms(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match="기업마다 잰 것이 아니어서"):
        small_study(tmp_path).regional("jobs", 1, "강원")


# -- the page ----------------------------------------------------------------------------------------

PARTS = (
    "opening",
    "answer",
    "places",
    "event_study",
    "pre_trend",
    "event_table",
    "forest",
    "chance",
    "ways_table",
    "flow_table",
    "balance_table",
    "limits",
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    kept: list[Any] = []

    def keep(*released: Any) -> None:
        kept.extend(item for item in released if item is not None)

    for module in (page, region_places, effect_design, effect_numbers):
        monkeypatch.setattr(module, "show", keep)
    return kept


def told(study: Study, found: Any, shown: list[Any]) -> str:
    """Everything that the page says."""
    shown.clear()
    for part in PARTS:
        getattr(page, part)(study, found)
    return "\n".join(str(item.data["text/plain"]) + str(item.payload.get("csv", "")) for item in shown)


def test_the_page_in_both_languages(tmp_path: Path, shown: list[Any]) -> None:
    korean = firms_study(tmp_path)
    text = told(korean, korean.regional("jobs", 1, "강원"), shown)
    for words in ("강원의 지원 기업 5곳을, 강원 안에서", "순위를 매기지 않는다", "처치된 시·도가 하나뿐이라"):
        assert words in text
    assert "낫다" in text or "읽는 것이 알맞다" in text
    english = firms_study(tmp_path, lang="en")
    text = told(english, english.regional("jobs", 1, "강원"), shown)
    assert "5 supported firms of Gangwon are compared with 7 unsupported firms of Gangwon" in text
    assert not any("가" <= letter <= "힣" for letter in text)


def test_the_number_of_the_page_is_that_of_the_forest(tmp_path: Path, shown: list[Any]) -> None:
    study = firms_study(tmp_path)
    found = study.regional("jobs", 1, "경북")
    told(study, found, shown)
    csv = next(i.payload["csv"] for i in shown if i.payload.get("name", "").startswith("provinces"))
    line = next(row for row in csv.splitlines() if row.startswith("경북"))
    assert float(line.split(",")[1]) == pytest.approx(found.effect.row(0.95)["estimate"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({2018: 1, 2019: 4, 2020: 9}, "2018–2019년 5곳, 2020년 9곳"),
        ({2018: 4, 2019: 1, 2020: 1}, "2018–2020년 6곳"),
        ({2018: 1, 2020: 1}, ""),
        ({2019: 3}, "2019년 3곳"),
    ],
)
def test_years_join_until_they_may_be_shown(tmp_path: Path, counts: dict[int, int], words: str) -> None:
    study = firms_study(tmp_path)
    found = replace(study.regional("jobs", 1, "경북"), supported=counts)
    assert region_places.supported_words(study, found) == words


def test_zones_and_rings_are_drawn_without_a_text_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.present import figures

    pictures: list[Any] = []
    for name in ("region_zones", "region_forest"):
        module = import_module(f"evalkit.present.figures.{name}")
        finish = module.finish
        monkeypatch.setattr(
            module, "finish", lambda figure, _f=finish, **k: (pictures.append(figure), _f(figure, **k))[1]
        )
    rows = [{"label": "창원시마산합포구", "km": 0.0, "zone": True, "line": "2019–"}]
    rows += [{"label": f"시군구{k}", "km": 4.0 * k, "zone": False} for k in range(1, 24)]
    drawn = figures.region_zones(rows, (5.0, 10.0, 20.0), title="말", compared_km=20.0)
    roles = [row[3] for row in drawn.data.rows]
    assert [roles.count(word) for word in ("지구가 있음", "견주지 않음", "견주는 곳")] == [1, 5, 18]
    frame = pd.DataFrame(
        {"estimate": [1.0, np.nan, -4.0], "conf_low": [0.0, np.nan, -9.0], "conf_high": [2.0, np.nan, 1.0]},
        index=["부산", "세종", "제주"],
    ).assign(all_low=lambda f: f["conf_low"] - 1, all_high=lambda f: f["conf_high"] + 1, n=[9.0, np.nan, 5.0])
    overall = {"estimate": 0.5, "conf_low": 0.1, "conf_high": 0.9}
    forest = figures.region_forest(
        frame, marked="세종", title="말", xlabel="고용 (명/기업)", chance=(-2.0, 2.0), overall=overall
    )
    assert forest.firms == 5
    assert "세종은 효과를 낼 수 없다" in forest.alt
    for picture in pictures:
        picture.canvas.draw()
        assert faults(picture) == []


# -- the plan ----------------------------------------------------------------------------------------


def test_pages_on_request_are_listed_and_left_out(tmp_path: Path) -> None:
    from evalkit.report.pipeline import _chosen

    plan = load_plan(Path(__file__).resolve().parents[2] / "plans" / "nic_phase1_vs_phase3.yml")
    asked = [job for job in plan.jobs() if job.on_request]
    assert len(asked) == 84
    assert {str(job.parameters["region"]) for job in asked} == set(PROVINCES) - {"서울", "인천", "경기"}

    class Stub:
        def __init__(self, job: Any) -> None:
            self.job, self.notebook = job, Path(job.notebook)

    tasks: Any = [Stub(job) for job in plan.jobs()]
    assert not [task for task in _chosen(tasks, ()) if task.job.on_request]
    assert len(_chosen(tasks, ())) == len(tasks) - 84
    assert len(_chosen(tasks, ("07_region",))) == 84
    assert [t.job.name for t in _chosen(tasks, ("07_region_부산_jobs_phase1",))] == [
        "07_region_부산_jobs_phase1"
    ]


def test_a_province_misspelt_in_a_plan_names_its_line_and_the_nearest(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[2] / "plans" / "nic_phase1_vs_phase3.yml"
    lines = source.read_text(encoding="utf-8").splitlines()
    at = next(k for k, line in enumerate(lines) if "region: [부산" in line)
    lines[at] = lines[at].replace("부산", "부산시")
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(PlanError, match="부산시") as caught:
        load_plan(wrong)
    assert f"{at + 1}행" in str(caught.value)
    assert "부산" in str(caught.value).replace("부산시", "")
