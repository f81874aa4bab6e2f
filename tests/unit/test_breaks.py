"""Known breaks travel with the data, and every estimator refuses to difference a variable across one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.breaks import carried, notes_of, refuse_across, with_breaks
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.flows import Flows
from evalkit.ingest.breaks import BREAKS, Break, break_table, frequency_of, known_breaks, refuse_break
from evalkit.ingest.sources import SPECS
from evalkit.methods import methods
from evalkit.panel import Panel
from evalkit.sample import Sample
from evalkit.transforms import winsorised, with_log_like
from evalkit.zones import Zone, Zones

N, T, FIRST = 48, 8, 2015
RNG = np.random.default_rng(20200101)
PLACE = np.arange(N)
YEARS = np.arange(FIRST, FIRST + T)
ADOPTION = np.where(PLACE % 2 == 0, 2018.0 + 2 * (PLACE % 4 == 0), np.inf)
ON = (YEARS[None, :] >= ADOPTION[:, None]).astype(float)
DEATH = np.where(PLACE % 3 == 1, 2017 + PLACE % 5, 9999)
NOTE = {"variable": "y", "period": 2020, "reason": "정의가 바뀜", "source": "시험"}


def panel(breaks: list[dict[str, Any]] | None = None, **changes: Any) -> Panel:
    y = np.round(np.exp(RNG_Y + 0.3 * ON) * 20) + 1
    varying = {
        "y": y,
        "x": RNG_X,
        "size": y * 3 + 5,
        "near": ((PLACE[:, None] % 8 == 1) & (YEARS[None, :] >= 2019)).astype(float),
        "closed": np.where(DEATH[:, None] < YEARS[None, :], np.nan, (DEATH[:, None] == YEARS[None, :]) * 1.0),
        "instrument": RNG_X + 0.5 * ON,
        "treatment": ON,
        "exposed": ON * (1.0 + PLACE[:, None] % 3),
    } | {name: v for name, v in changes.items() if np.ndim(v) == 2}
    fixed = {
        "adoption": ADOPTION,
        "once": np.where(PLACE % 2 == 0, 2019.0, np.inf),
        "few": np.where(PLACE % 8 == 0, 2019.0, np.inf),
        "later": np.where(PLACE % 8 == 2, 2021.0, np.inf),
        "tier": np.where(np.isfinite(ADOPTION), 1.0 + (PLACE // 4) % 2, np.nan),
        "eligible": (PLACE // 4) % 2 * 1.0,
        "dose": np.where(np.isfinite(ADOPTION), 1.0 + (PLACE % 7) / 3, 0.0),
        "weight": 1.0 + PLACE % 2,
        "base": RNG_X[:, 0],
        "list": np.where((PLACE // 6) == PLACE % 6, 2019.0, np.inf),
        "sido": np.array([f"p{i // 6}" for i in PLACE]),
        "sector": np.array([f"k{i % 6}" for i in PLACE]),
        "latitude": np.where(PLACE % 2 == 0, 36.0, 36.5 + PLACE / 100),
        "longitude": np.full(N, 127.5),
    }
    return Panel(np.array([f"u{i:02d}" for i in PLACE]), YEARS, varying, fixed, with_breaks({}, breaks or []))


RNG_Y, RNG_X = RNG.normal(size=(N, T)) * 0.3, RNG.normal(size=(N, T))
Y, ONCE, FEW = Design("y"), Design("y", adoption="once"), Design("y", adoption="few")


def zones(data: Panel) -> Zones:
    drawn = [
        Zone(phase=1, first=2018, corners=(36.0, 127.5), radius_km=5),
        Zone(phase=3, first=2020, corners=(36.5, 127.5), radius_km=5),
    ]
    return Zones.measure(data, drawn, rings=(0, 10))


def flows_of(data: Panel) -> Flows:
    """The same numbers as counts from two origins."""
    notes = {
        "breaks": [{**b, "variable": "counts"} for b in data.notes.get("breaks", []) if b["variable"] == "y"]
    }
    counts = np.stack([data.varying["y"], data.varying["size"]])
    return Flows(np.array(["a", "b"]), data.units, data.periods, counts, data.fixed, {}, notes)


def sample_of(data: Panel) -> Sample:
    n, t = data.shape
    columns = {
        "y": data.varying["y"].ravel(),
        "adoption": np.repeat(data.fixed["adoption"], t),
        "group": np.repeat(PLACE, t),
    }
    return Sample(np.tile(data.periods, n), columns, notes=data.notes)


# function of `evalkit.estimators` -> (design, options); the outcome is y wherever it can be
CALLS: dict[str, tuple[Design, dict[str, Any]]] = {
    "attrition_effects": (ONCE, {}),
    "changes_in_changes": (ONCE, {"bounds": True}),
    "distribution_effects": (ONCE, {}),
    "dose_response": (ONCE, {"dose": "dose", "degree": 1}),
    "descriptive_dose_regression": (ONCE, {"dose": "dose"}),
    "duration_effects": (ONCE, {}),
    "duration_pre_test": (ONCE, {}),
    "dynamic_panel_effects": (Y, {"regressors": ["x"]}),
    "extended_two_way_effects": (Y, {}),
    "fractional_shares": (Y, {"denominator": "size"}),
    "goodman_bacon_decomposition": (Y, {}),
    "gravity_effects": (Y, {}),
    "group_time_effects": (Y, {}),
    "hausman_taylor_effects": (Y, {"exogenous": ["x", "base"], "endogenous": ["instrument", "weight"]}),
    "hazard_effects": (Y, {}),
    "incidence_effects": (Y, {}),
    "imputation_effects": (Y, {}),
    "imputation_pretrends": (Y, {"leads": 1}),
    "instrumental_effects": (Y, {"endogenous": ["x"], "instruments": ["instrument"]}),
    "lee_bounds": (ONCE, {}),
    "lee_wooldridge_effects": (Y, {}),
    "local_projection_effects": (Y, {}),
    "margin_effects": (ONCE, {}),
    "panel_regression": (Y, {"regressors": ["x"]}),
    "percent_effects": (Y, {}),
    "phase_path_effects": (Y, {"second": "later", "level": "overall"}),
    "naive_phase_regression": (Y, {"second": "later", "for_contrast": True}),
    "poisson_effects": (Y, {}),
    "poisson_event_study": (Y, {}),
    "repeated_cross_section_effects": (Y, {}),
    "spillover_effects": (Y, {"rings": ("near",)}),
    "border_class_effects": (Y, {"before": 1, "after": 3}),
    "stacked_effects": (Y, {"window": (-2, 1)}),
    "sun_abraham_effects": (Y, {}),
    "switching_effects": (Y, {"treatment": "treatment"}),
    "switching_average": (Y, {"treatment": "treatment"}),
    "synthetic_control_effects": (FEW, {"replications": 60}),
    "augmented_synthetic_control_effects": (FEW, {"replications": 60}),
    "synthetic_did_effects": (FEW, {"replications": 60, "inference": "placebo"}),
    "target_industry_effects": (Design("y", adoption="list"), {}),
    "tier_effects": (Y, {"tier": "tier", "level": "overall"}),
    "tier_contrasts": (Y, {"tier": "tier"}),
    "triple_difference_effects": (Y, {"eligible": "eligible"}),
    "two_stage_effects": (Y, {}),
    "two_stage_event_study": (Y, {}),
    "two_way_effects": (Y, {}),
    "two_way_event_study": (Y, {}),
}
SPELLS = ("duration_effects", "duration_pre_test", "hazard_effects", "incidence_effects")
HOMES = {m.card.function: m.home for m in methods() if m.home.startswith("evalkit.estimators.")}


def call(name: str, breaks: list[dict[str, Any]], **changes: Any) -> np.ndarray[Any, Any]:
    function: Callable[..., Any] = getattr(import_module(HOMES[name]), name)
    design, options = CALLS[name]
    data = panel(breaks, **changes)
    if name in SPELLS:  # an outcome that happens once
        data = data.with_varying(y=data.varying["closed"])
    if name == "attrition_effects" or name == "lee_bounds":  # an outcome that goes missing
        data = data.with_varying(y=np.where(np.isnan(data.varying["closed"]), np.nan, data.varying["y"]))
    if name == "margin_effects":
        data = data.with_varying(y=np.where(data.varying["y"] < 15, 0.0, data.varying["y"]))
    if name == "border_class_effects":
        options = {**options, "zones": zones(data)}
    given = flows_of(data) if name == "gravity_effects" else data
    if name == "repeated_cross_section_effects":
        given = sample_of(data)
    return np.asarray(function(given, design, **options).values)


def test_every_estimator_is_looked_at() -> None:
    assert set(CALLS) == set(HOMES)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_estimator_refuses_a_break_and_none_else(name: str) -> None:
    plain = call(name, [])
    assert np.isfinite(plain).any()  # without a break there is an answer, so what refuses is the break
    with pytest.raises(RefusalError, match="2019년과 2020년 사이에 비교할 수 없음: 정의가 바뀜") as caught:
        call(name, [NOTE])
    assert "2015–2019만 또는 2020–2022만" in caught.value.remedy
    one_side = call(name, [{**NOTE, "period": 2015}, {**NOTE, "period": 2023}, {**NOTE, "variable": "z"}])
    np.testing.assert_array_equal(one_side, plain)


def test_periods_on_one_side_are_compared() -> None:
    from evalkit.estimators.group_time import group_time_effects

    broken = panel([NOTE])
    early = broken.select(periods=range(2015, 2020))
    assert notes_of(early.notes, "y")  # the break still travels
    found = group_time_effects(early, Y).values
    np.testing.assert_array_equal(
        found, group_time_effects(panel().select(periods=range(2015, 2020)), Y).values
    )
    with pytest.raises(RefusalError):
        group_time_effects(broken.select(periods=[2018, 2019, 2020]), Y)


def test_a_side_without_values_is_no_side() -> None:
    y = panel().varying["y"].copy()
    y[:, 5:] = np.nan
    broken = panel([NOTE], y=y)
    assert broken.values("y").shape == (N, T)
    y[3, 6] = 1.0
    with pytest.raises(RefusalError, match="2019년과 2021년"):
        panel([NOTE], y=y).values("y")


@pytest.mark.parametrize("names", [("covariates", ("x",)), ("weight", "x"), ("at_risk", "x")])
def test_a_covariate_or_weight_that_changes_its_meaning(names: tuple[str, Any]) -> None:
    from evalkit.estimators.group_time import group_time_effects

    broken = panel([{**NOTE, "variable": "x"}], x=np.abs(RNG_X))
    with pytest.raises(RefusalError, match="x 을"):
        group_time_effects(broken, Design("y", **{names[0]: names[1]}), missing="pairs")


def test_balancing_reads_one_period_and_may() -> None:
    from evalkit.balancing.entropy import entropy_balancing

    design = Design("y", adoption="once", covariates=("x",))
    a, b = (entropy_balancing(panel(notes), design) for notes in ([], [{**NOTE, "variable": "x"}]))
    np.testing.assert_array_equal(a.weights, b.weights)


def test_no_estimator_reads_a_panel_behind_the_refusal() -> None:
    """Only `values` refuses; numbers taken from ``varying`` or ``variables`` by name would pass it."""
    root = Path(__file__).resolve().parents[2] / "src" / "evalkit"
    for package in ("estimators", "inference", "checks", "balancing", "appraisal"):
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            assert not re.findall(r"(?:panel|sample|data|flows)\.(?:varying|variables)\[", text), path.name
    for path in sorted((root / "estimators").rglob("*.py")):
        if "flows.counts" in (text := path.read_text(encoding="utf-8")):
            assert path.name == "gravity.py", (
                path.name
            )  # behind `_flow_regressors.regressors`, which asks `series`


# -- travelling ------------------------------------------------------------------------------------


def test_breaks_survive_a_file_and_a_choice_of_units(tmp_path: Path) -> None:
    broken = panel([NOTE])
    broken.save(tmp_path / "a.npz")
    again = Panel.load(tmp_path / "a.npz")
    assert again.notes["breaks"] == [NOTE]
    for copy in (again, again.select(units=[0, 1]), again.with_varying(z=again.varying["x"])):
        with pytest.raises(RefusalError, match=r"→ 2015–2019만 또는 2020–2022만 .*\[근거: 시험\]"):
            copy.values("y")
        assert copy.values("x").shape[1] == T
    sample = sample_of(broken)
    sample.save(tmp_path / "b.npz")
    with pytest.raises(RefusalError):
        Sample.load(tmp_path / "b.npz").numbers("y")
    assert len(Sample.load(tmp_path / "b.npz").select(sample.periods < 2020).numbers("y"))


def test_what_is_made_from_a_broken_variable_is_broken() -> None:
    early = panel([NOTE]).select(periods=range(2015, 2020))
    logged = with_log_like(early, "y", "log1p")
    assert [n.period for n in notes_of(logged.notes, "log1p_y")] == [2020]
    bounded, _ = winsorised(early, "y")
    assert [n.variable for n in notes_of(bounded.notes, "winsor99_y")] == ["winsor99_y"]
    whole = panel([NOTE]).with_derived(("x", "y"), both=RNG_X)
    with pytest.raises(RefusalError, match="both 을"):
        whole.values("both")
    assert "breaks" not in panel().with_derived(("x",), z=RNG_X).notes
    assert carried({"a": 1}, ["y"], ["z"]) == {"a": 1}
    with pytest.raises(RefusalError):
        with_log_like(panel([NOTE]), "y", "log1p")


def test_a_destination_variable_of_flows() -> None:
    flows = flows_of(panel())
    broken = Flows(
        flows.origins,
        flows.destinations,
        flows.periods,
        flows.counts,
        {},
        {"y": panel().varying["y"]},
        {"breaks": [NOTE]},
    )
    with pytest.raises(RefusalError, match="y 을"):
        broken.values("y")
    np.testing.assert_array_equal(broken.series(), flows.counts)


def test_notes_that_are_no_breaks() -> None:
    with pytest.raises(DataError, match="단절이 아닌 것"):
        panel([{"variable": "y"}]).values("y")
    assert with_breaks(None, []) == {}
    assert with_breaks({"breaks": [NOTE]}, [NOTE])["breaks"] == [NOTE]


def test_months_are_said_as_months() -> None:
    note = {**NOTE, "period": 202012}
    with pytest.raises(RefusalError, match="2020년 11월과 2021년 1월 사이"):
        refuse_across({"breaks": [note]}, "y", [202010, 202011, 202101])
    refuse_across({"breaks": [note]}, "y", [202012, 202101])


# -- what is declared ------------------------------------------------------------------------------


def test_what_is_declared_names_what_there_is() -> None:
    own = ("*", "establishment_census")
    for one in BREAKS:
        assert one.reason
        assert one.source
        if one.table not in own and (one.table, one.variable) != ("employment_insurance", "insured"):
            SPECS[one.table].column(one.variable)
    assert json.dumps([b.note("v", "year") for b in BREAKS], ensure_ascii=False)
    assert len(break_table()) == len(BREAKS)


@pytest.mark.parametrize(
    ("table", "columns", "conditions", "periods"),
    [
        ("region_panel", {"shops": "estab_census", "people": "population"}, {}, {("shops", 2020)}),
        ("region_panel", {"people": "population"}, {}, set()),
        ("establishment_census", {"a": "workers"}, {}, {("a", 2020)}),
        ("employment_insurance", {"jobs": "employees"}, {}, set()),
        ("employment_insurance", {"n": "insured"}, {}, {("n", 2020), ("n", 2021)}),
        ("employment_insurance", {"jobs": "employees"}, {"current_industry": True}, {("jobs", 2024)}),
        ("population", {"p": "people"}, {"current_provinces": True}, {("p", 2023)}),
        ("national_pension", {"m": "members", "w": "premium"}, {}, {("w", 2026)}),
    ],
)
def test_breaks_of_a_table(
    table: str, columns: dict[str, str], conditions: dict[str, bool], periods: set[tuple[str, int]]
) -> None:
    assert {
        (n["variable"], n["period"]) for n in known_breaks(table, columns, "year", **conditions)
    } == periods


def test_the_month_of_a_break() -> None:
    months = [n["period"] for n in known_breaks("employment_insurance", {"n": "insured"}, "month")]
    assert months == [202012, 202107]
    assert Break("t", "v", date(2024, 7, 1), "r", "s").first_period("month") == 202407


def test_years_and_months() -> None:
    assert (frequency_of([2015, 2020]), frequency_of([201512, 202101])) == ("year", "month")
    for wrong in ([1, 2], [201513]):
        with pytest.raises(DesignError, match="연도"):
            frequency_of(wrong)


def test_two_years_of_a_column() -> None:
    refuse_break("estab_census", 2010, 2015)
    refuse_break("estab_census", 2020, 2024)
    with pytest.raises(RefusalError, match="2015년과 2020년"):
        refuse_break("estab_census", 2015, 2020)
    with pytest.raises(DesignError, match="뒤임"):
        refuse_break("estab_census", 2020, 2015)
