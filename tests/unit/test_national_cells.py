"""National files through DuckDB: sums as by brute force, the same bytes for every thread count, faults as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from national_files import YEARS, national_frame, written

from evalkit.arrays.cell_sums import CellSums, sum_cells
from evalkit.design import Design
from evalkit.errors import (
    DataError,
    DesignError,
    EvalkitError,
    RefusalError,
    SchemaError,
    UsageError,
    ValueProblem,
)
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.inference import score_bootstrap
from evalkit.panel import Panel
from evalkit.scale import (
    Engine,
    cells,
    group_time_from_cells,
    imputation_from_cells,
    national_cells,
    open_engine,
    open_source,
    place_cells,
    with_programme,
)

FRAME = national_frame()
DESIGN = Design("employment", cluster="sido")
WHERE = {"unit": "id", "period": "year"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine("duckdb", memory="1GB", threads=2) as opened:
        yield opened


def in_memory(frame: pd.DataFrame, outcome: str, weight: str | None = None) -> tuple[Panel, CellSums]:
    """The same by pandas: a panel, and its cells."""
    labels = ["sido", "adoption", *([weight] if weight else [])]
    panel = Panel.from_long(frame, unit="id", period="year", varying=[outcome], fixed=labels)
    sums = sum_cells(
        panel.periods,
        panel.values(outcome),
        panel.constant("sido"),
        np.where(np.isnan(panel.constant("adoption")), np.inf, panel.constant("adoption")),
        None if weight is None else panel.constant(weight),
    )
    return panel, sums


def equal_bits(ours: CellSums, theirs: CellSums) -> None:
    for field in fields(CellSums):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        assert a.tolist() == b.tolist(), field.name


# -- sums ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outcome", "weight"), [("employment", None), ("sales", None), ("sales", "w")])
def test_cells_are_those_of_the_panel_to_the_last_bit(
    engine: Engine, tmp_path: Path, outcome: str, weight: str | None
) -> None:
    source = open_source(engine, written(FRAME, tmp_path / "national.parquet"))
    found = national_cells(source, replace(DESIGN, outcome=outcome, weight=weight), **WHERE)
    equal_bits(found.sums, in_memory(FRAME, outcome, weight)[1])
    assert found.flow[0].rows == len(FRAME)
    assert {step.reason: step.rows for step in found.flow}["단위"] == FRAME["id"].nunique()


def test_threads_rows_and_files_change_no_bit(engine: Engine, tmp_path: Path) -> None:
    first = national_cells(
        open_source(engine, written(FRAME, tmp_path / "a.parquet")), replace(DESIGN, outcome="sales"), **WHERE
    )
    folder = tmp_path / "years"
    folder.mkdir()
    shuffled = FRAME.sample(frac=1.0, random_state=3)
    for year, part in shuffled.groupby("year"):
        written(part, folder / f"{2100 - int(year)}.parquet")
    with open_engine("duckdb", memory="500MB", threads=1) as alone:
        second = national_cells(open_source(alone, folder), replace(DESIGN, outcome="sales"), **WHERE)
    equal_bits(first.sums, second.sums)


def test_passes_over_groups_of_units_change_no_bit(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(engine, written(FRAME, tmp_path / "a.parquet"))
    monkeypatch.setattr(cells, "BUCKET", len(FRAME) // 4)
    for design in (DESIGN, replace(DESIGN, outcome="sales", weight="w")):
        found = national_cells(source, design, **WHERE)
        equal_bits(found.sums, in_memory(FRAME, design.outcome, design.weight)[1])
    twice = open_source(engine, written(pd.concat([FRAME, FRAME.iloc[[7, 40]]]), tmp_path / "b.parquet"))
    units = FRAME["id"].iloc[[7, 40]].nunique()
    with pytest.raises(DataError, match=rf"두 번 이상 있음 \(단위 {units}개\)"):
        national_cells(twice, DESIGN, **WHERE)


def test_partitions_give_their_column(engine: Engine, tmp_path: Path) -> None:
    for year, part in FRAME.groupby("year"):
        place = tmp_path / "national" / f"year={year}"
        place.mkdir(parents=True)
        written(part.drop(columns="year"), place / "part.parquet")
    found = national_cells(open_source(engine, tmp_path / "national"), DESIGN, **WHERE)
    equal_bits(found.sums, in_memory(FRAME, "employment")[1])


def test_a_window_is_a_panel_of_those_periods(engine: Engine, tmp_path: Path) -> None:
    source = open_source(engine, written(FRAME, tmp_path / "a.parquet"))
    found = national_cells(source, DESIGN, window=(2015, 2019), **WHERE)
    equal_bits(found.sums, in_memory(FRAME[FRAME["year"].between(2015, 2019)], "employment")[1])
    with pytest.raises(DataError, match="기간 1990–1999 의 행이 없음"):
        national_cells(source, DESIGN, window=(1990, 1999), **WHERE)


def test_many_periods_take_several_words(engine: Engine, tmp_path: Path) -> None:
    """More periods than one whole number has bits."""
    rng = np.random.default_rng(5)
    months = np.arange(130)
    frame = pd.DataFrame(
        [
            (f"u{i}", m, str(11 + i % 2), [40.0, np.nan][i % 3 > 0], rng.normal())
            for i in range(12)
            for m in months
        ],
        columns=["id", "year", "sido", "adoption", "y"],
    )
    frame.loc[rng.random(len(frame)) < 0.01, "y"] = np.nan
    found = national_cells(
        open_source(engine, written(frame, tmp_path / "m.parquet")), Design("y", cluster="sido"), **WHERE
    )
    equal_bits(found.sums, in_memory(frame, "y")[1])


def test_missing_weights_and_outcomes_are_counted_not_used(engine: Engine, tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame["w"] = frame["w"].astype(float)
    frame.loc[frame["id"] == "u00003", "w"] = np.nan
    frame.loc[frame["id"] == "u00004", "w"] = 0.0
    frame.loc[frame["id"] == "u00005", "sales"] = np.nan
    source = open_source(engine, written(frame, tmp_path / "a.parquet"))
    found = national_cells(source, replace(DESIGN, outcome="sales", weight="w"), **WHERE)
    equal_bits(found.sums, in_memory(frame, "sales", "w")[1])
    steps = {step.reason: step.rows for step in found.flow}
    assert steps["관측값이 하나도 없는 단위"] == -3
    lost = int(frame["id"].isin(["u00003", "u00004", "u00005"]).sum())
    assert steps["기간 밖이거나 결과·가중치가 빈 행"] == -lost
    assert steps["칸에 든 관측값"] == len(frame) - lost


def test_the_table_of_cells_is_a_plain_grouping(engine: Engine, tmp_path: Path) -> None:
    found = national_cells(
        open_source(engine, written(FRAME, tmp_path / "a.parquet")), DESIGN, **WHERE
    ).table()
    brute = FRAME.assign(cohort=FRAME["adoption"].fillna(np.inf)).groupby(["sido", "cohort", "year"])[
        "employment"
    ]
    brute = brute.agg(["count", "mean", lambda v: v.std(ddof=0)]).reset_index()
    both = found[found["units"] > 0].reset_index(drop=True)
    np.testing.assert_array_equal(both["units"], brute["count"])
    np.testing.assert_allclose(both["mean"], brute["mean"], rtol=1e-13)
    np.testing.assert_allclose(both["std"], brute["<lambda_0>"], rtol=1e-9, atol=1e-9)


def test_effects_of_a_file_are_those_of_its_panel(engine: Engine, tmp_path: Path) -> None:
    found = national_cells(open_source(engine, written(FRAME, tmp_path / "a.parquet")), DESIGN, **WHERE)
    panel, _ = in_memory(FRAME, "employment")
    for ours, theirs in (
        (
            group_time_from_cells(found.sums, DESIGN, missing="pairs"),
            group_time_effects(panel, DESIGN, missing="pairs"),
        ),
        (
            imputation_from_cells(found.sums, DESIGN, unimputable="drop"),
            imputation_effects(panel, DESIGN, unimputable="drop"),
        ),
    ):
        for name in ("values", "covariance", "replicates", "n_treated", "n_comparison"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-9)
        # a bootstrap of sums by cluster draws the same
        a, b = (
            score_bootstrap(one, [0], draws=199)
            for one in (ours.select(~np.isnan(ours.std_errors)), theirs.select(~np.isnan(theirs.std_errors)))
        )
        assert a[0].p_value == b[0].p_value
        assert (a[0].low, a[0].high) == pytest.approx((b[0].low, b[0].high), rel=1e-9)


# -- regions and industries ------------------------------------------------------------------------------


def test_place_cells_are_a_plain_grouping(engine: Engine, tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[::17, "sales"] = np.nan
    found = place_cells(
        open_source(engine, written(frame, tmp_path / "a.parquet")), period="year", region="region",
        industry="industry", values=["employment", "sales"], region_digits=2,
    )  # fmt: skip
    keys = [
        frame["region"].str[:2].rename("region"),
        frame["industry"].str[:2].rename("industry"),
        frame["year"].rename("period"),
    ]
    brute = frame.assign(q=frame["sales"] ** 2).groupby(keys).agg(
        rows=("id", "size"), a=("employment", "sum"), n=("sales", "count"), b=("sales", "sum"), q=("q", "sum")
    ).reset_index()  # fmt: skip
    assert (
        found[["region", "industry", "period"]].to_numpy().tolist()
        == brute[["region", "industry", "period"]].to_numpy().tolist()
    )
    np.testing.assert_array_equal(found["rows"], brute["rows"])
    np.testing.assert_array_equal(found["employment_sum"], brute["a"])
    np.testing.assert_array_equal(found["sales_count"], brute["n"])
    np.testing.assert_allclose(found["sales_sum"], brute["b"], rtol=1e-13)
    np.testing.assert_allclose(found["sales_squares"], brute["q"], rtol=1e-13)
    assert found["employment_sum"].sum() == frame["employment"].sum()


def test_place_cells_refuse_short_codes_and_blank_regions(engine: Engine, tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[0, "region"] = "111"
    where = {"period": "year", "region": "region", "values": ["employment"]}
    with pytest.raises(DataError, match=r"지역 코드가 5자리보다 짧은 칸이 있음 .*'111'"):
        place_cells(open_source(engine, written(frame, tmp_path / "a.parquet")), **where)
    frame.loc[0, "region"] = None
    with pytest.raises(DataError, match="지역이\\(가\\) 빈 행이 1개"):
        place_cells(open_source(engine, written(frame, tmp_path / "b.parquet")), **where)
    with pytest.raises(UsageError, match="더할 변수가 하나도 없음"):
        place_cells(
            open_source(engine, written(FRAME, tmp_path / "c.parquet")),
            period="year",
            region="region",
            values=[],
        )


# -- faults, each one sentence ---------------------------------------------------------------------------


def put(column: str, value: object, row: int = 5) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        out = frame.copy()
        out[column] = out[column].astype(object)
        out.loc[row, column] = value
        return (
            out.infer_objects()
            if not isinstance(value, str)
            else out.assign(**{column: out[column].astype(str)})
        )

    return change


FAULTS: list[tuple[str, Callable[[pd.DataFrame], pd.DataFrame], type[EvalkitError], str]] = [
    (
        "column missing",
        lambda f: f.rename(columns={"sido": "시도"}),
        SchemaError,
        "열 'sido' 이\\(가\\) 없음",
    ),
    ("text", put("employment", "열둘"), ValueProblem, "'열둘' 을\\(를\\) 수로 읽을 수 없음 \\(1칸\\)"),
    ("number in text", put("employment", "1112223333명"), ValueProblem, "값 .111-\\*\\*-\\*\\*\\*\\*\\*. 을"),
    ("infinite", put("sales", np.inf), DataError, "무한대인 값이 1개"),
    ("negative", put("sales", -3.0), ValueProblem, "값 -3 이\\(가\\) 최솟값 0 보다 작음"),
    ("no unit", put("id", None), DataError, "식별자이?\\(?가?\\)? ?.*빈 행이 1개"),
    ("no period", put("year", np.nan), DataError, "기간이\\(가\\) 빈 행이 1개"),
    ("half period", put("year", 2015.5), DesignError, "정수가 아닌 기간이 1행"),
    ("no cluster", put("sido", None), DataError, "군집이\\(가\\) 빈 행이 1개"),
    ("adoption 0", put("adoption", 0.0), DesignError, "양의 정수가 아닌 행이 1개"),
    (
        "twice",
        lambda f: pd.concat([f, f.iloc[[7]]]),
        DataError,
        "같은 단위와 기간이 두 번 이상 있음 \\(단위 1개\\)",
    ),
    ("moves", put("sido", "99"), DataError, "고정 변수 sido 이\\(가\\) 한 단위 안에서 바뀌"),
    ("adoption changes", put("adoption", 2016.0), DataError, "고정 변수 adoption"),
    (
        "float identifiers",
        lambda f: f.assign(id=f["id"].str[1:].astype(float)),
        SchemaError,
        "소수로 저장되어",
    ),
    (
        "dates",
        lambda f: f.assign(year=pd.to_datetime(f["year"].astype(str))),
        SchemaError,
        "종류\\(timestamp.*수가 아님",
    ),
]


@pytest.mark.parametrize(
    ("change", "kind", "sentence"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_faults_are_sentences(
    engine: Engine,
    tmp_path: Path,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    kind: type[EvalkitError],
    sentence: str,
) -> None:
    source = open_source(engine, written(change(FRAME), tmp_path / "national.parquet"))
    with pytest.raises(kind, match=sentence) as caught:
        national_cells(
            source,
            replace(
                DESIGN,
                outcome="sales"
                if "sales" in sentence or kind is not ValueProblem or "-3" in sentence
                else "employment",
            ),
            minimum=0.0,
            **WHERE,
        )
    assert "\n" not in str(caught.value)
    assert "→" in str(caught.value)


def test_negative_weights_are_refused(engine: Engine, tmp_path: Path) -> None:
    source = open_source(engine, written(FRAME.assign(w=-1.0), tmp_path / "a.parquet"))
    with pytest.raises(DataError, match="가중치에 음수가 있음"):
        national_cells(source, replace(DESIGN, weight="w"), **WHERE)


def test_identifiers_in_errors_are_masked(engine: Engine, tmp_path: Path) -> None:
    frame = pd.concat([FRAME, FRAME.iloc[[0]]]).assign(id=lambda f: "11122" + f["id"].str[1:])
    with pytest.raises(DataError) as caught:
        national_cells(open_source(engine, written(frame, tmp_path / "a.parquet")), DESIGN, **WHERE)
    assert "111-**-*****" in str(caught.value)
    assert "11122" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covariates": ("x",)}, "covariates=x"),
        ({"at_risk": "alive"}, "at_risk=alive"),
        ({"cluster": None}, "군집"),
    ],
)
def test_what_is_no_function_of_sums_is_refused(
    engine: Engine, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    design = replace(DESIGN, **change)  # type: ignore[arg-type]
    source = open_source(engine, written(FRAME, tmp_path / "a.parquet"))
    sums = in_memory(FRAME, "employment")[1]
    for call in (
        lambda: national_cells(source, design, **WHERE),
        lambda: group_time_from_cells(sums, design),
        lambda: imputation_from_cells(sums, design),
    ):
        with pytest.raises(RefusalError, match=sentence):
            call()


def test_options_that_do_not_exist() -> None:
    sums = in_memory(FRAME, "employment")[1]
    with pytest.raises(UsageError, match="빠진 칸을 다루는 방법 'rows'"):
        group_time_from_cells(sums, DESIGN, missing="rows")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="by 값 'cohorts'"):
        imputation_from_cells(sums, DESIGN, by="cohorts")  # type: ignore[arg-type]
    with pytest.raises(RefusalError, match="변수로 가중한 평균"):
        imputation_from_cells(sums, DESIGN, by=["w"])  # type: ignore[arg-type]
    with pytest.raises(
        DesignError, match=r"지원이 없었을 때의 결과를 추정할 수 없음: 지원 전의 관측값이 없음, 단위 [0-9]+개"
    ):
        imputation_from_cells(sums, DESIGN)


# -- the programme's own list ----------------------------------------------------------------------------


def test_a_programme_list_gives_adoption(engine: Engine, tmp_path: Path) -> None:
    firms = FRAME.dropna(subset=["adoption"]).drop_duplicates("id")[["id", "adoption"]]
    extra = pd.DataFrame({"id": ["nowhere"], "adoption": [2018]})
    plain = written(FRAME.drop(columns="adoption"), tmp_path / "a.parquet")
    source = with_programme(open_source(engine, plain), pd.concat([firms, extra]), unit="id")
    equal_bits(national_cells(source, DESIGN, **WHERE).sums, in_memory(FRAME, "employment")[1])
    steps = {step.reason: step.rows for step in source.flow}
    assert steps["지원 명단의 단위"] == len(firms) + 1
    assert steps["파일에서 찾지 못한 단위"] == -1


@pytest.mark.parametrize(
    ("firms", "kind", "sentence"),
    [
        (
            pd.DataFrame({"firm": ["u00001"], "adoption": [2018]}),
            SchemaError,
            "열 'id' 이\\(가\\) 지원 명단에 없음",
        ),
        (
            pd.DataFrame({"id": ["u00001"] * 2, "adoption": [2018, 2019]}),
            DataError,
            "두 번 이상 있음 \\(1건\\)",
        ),
        (pd.DataFrame({"id": ["u00001"], "adoption": [None]}), DataError, "빈 행"),
        (pd.DataFrame({"id": ["x"], "adoption": [2018]}), DataError, "하나도 없음"),
    ],
)
def test_bad_lists_are_sentences(
    engine: Engine, tmp_path: Path, firms: pd.DataFrame, kind: type[EvalkitError], sentence: str
) -> None:
    source = open_source(engine, written(FRAME.drop(columns="adoption"), tmp_path / "a.parquet"))
    with pytest.raises(kind, match=sentence):
        with_programme(source, firms, unit="id")


def test_a_list_does_not_overwrite_a_column(engine: Engine, tmp_path: Path) -> None:
    source = open_source(engine, written(FRAME, tmp_path / "a.parquet"))
    with pytest.raises(SchemaError, match="'adoption' 이\\(가\\) 파일에 이미 있음"):
        with_programme(source, pd.DataFrame({"id": ["u00001"], "adoption": [2018]}), unit="id")


def test_years_of_the_helper() -> None:
    assert set(FRAME["year"]) == set(YEARS)
