"""Panels out of national files: the supported firms, and matches as found by looking at every pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from national_files import national_frame, written

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, UsageError
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel
from evalkit.scale import (
    Engine,
    MatchRule,
    matched_pool,
    open_engine,
    open_source,
    panel_of,
    panels,
    supported_panel,
)

FRAME = national_frame(500, seed=3)
DESIGN = Design("employment", cluster="sido")
WHERE = {"unit": "id", "period": "year"}
RULE = MatchRule(size_edges=(5, 10), age_edges=(7,), lags=2, ratio=2)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine("duckdb", memory="500MB", threads=2) as opened:
        yield opened


def same_panel(ours: Panel, theirs: Panel) -> None:
    assert ours.units.tolist() == theirs.units.tolist()
    assert ours.periods.tolist() == theirs.periods.tolist()
    for name, values in theirs.varying.items():
        np.testing.assert_array_equal(ours.values(name), values)
    for name, values in theirs.fixed.items():
        np.testing.assert_array_equal(ours.constant(name), values)


def test_a_panel_of_the_file_is_that_of_pandas(engine: Engine, tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[::13, "sales"] = np.nan
    found = panel_of(
        open_source(engine, written(frame, tmp_path / "a.parquet")),
        varying=["employment", "sales"], numbers=["adoption", "founded"], labels=["sido"], **WHERE,
    )  # fmt: skip
    same_panel(
        found,
        Panel.from_long(
            frame,
            unit="id",
            period="year",
            varying=["employment", "sales"],
            fixed=["adoption", "founded", "sido"],
        ),
    )


def test_the_supported_are_those_with_an_adoption(engine: Engine, tmp_path: Path) -> None:
    found = supported_panel(
        open_source(engine, written(FRAME, tmp_path / "a.parquet")), DESIGN, labels=["sido"], **WHERE
    )
    own = FRAME.dropna(subset=["adoption"])
    same_panel(
        found,
        Panel.from_long(own, unit="id", period="year", varying=["employment"], fixed=["adoption", "sido"]),
    )
    with pytest.raises(DataError, match="지원받은 단위가 하나도 없음"):
        supported_panel(
            open_source(engine, written(FRAME.assign(adoption=np.nan), tmp_path / "b.parquet")),
            DESIGN,
            **WHERE,
        )


def brute_force(
    frame: pd.DataFrame, rule: MatchRule, anticipation: int = 0
) -> list[tuple[str, str, int, float]]:
    """Every pair of a supported and another firm, one by one."""
    years = sorted(frame["year"].unique())
    rows = {(r.id, r.year): r for r in frame.itertuples()}

    def path(firm: str, base: int) -> list[float] | None:
        at = years.index(base)
        seen = [rows.get((firm, y)) for y in years[at - rule.lags + 1 : at + 1]]
        return (
            None if any(r is None or np.isnan(r.employment) for r in seen) else [r.employment for r in seen]
        )

    def cell(firm: str, base: int) -> tuple[object, ...]:
        r = rows[firm, base]
        size = sum(r.employment >= e for e in rule.size_edges)
        age = sum(base - r.founded >= e for e in rule.age_edges)
        return r.region[: rule.region_digits], r.industry[: rule.industry_digits], size, age

    firms = frame.drop_duplicates("id").set_index("id")["adoption"]
    out = []
    for firm, date in firms.dropna().items():
        before = [y for y in years if y + anticipation < date]
        if len(before) < rule.lags or (own := path(firm, before[-1])) is None:
            continue
        near = []
        for other in firms[firms.isna()].index:
            theirs = path(other, before[-1])
            if theirs is not None and cell(other, before[-1]) == cell(firm, before[-1]):
                near.append((sum((a - b) ** 2 for a, b in zip(own, theirs, strict=True)), other))
        out += [(firm, other, k, gap) for k, (gap, other) in enumerate(sorted(near)[: rule.ratio], start=1)]
    return sorted(out, key=lambda row: (row[0], row[2]))


@pytest.mark.parametrize("anticipation", [0, 1])
def test_matches_are_those_of_every_pair(engine: Engine, tmp_path: Path, anticipation: int) -> None:
    source = open_source(engine, written(FRAME, tmp_path / "a.parquet"))
    design = Design("employment", cluster="sido", anticipation=anticipation)
    pool = matched_pool(source, design, rule=RULE, labels=["sido"], **WHERE)
    true = brute_force(FRAME, RULE, anticipation)
    assert pool.pairs[["unit", "match", "rank", "distance"]].to_numpy().tolist() == [
        list(row) for row in true
    ]
    # weights: 1, and 1/k for each k-fold match
    weight = dict(zip(pool.panel.units.tolist(), pool.panel.constant("weight").tolist(), strict=True))
    counts = pd.Series([row[0] for row in true]).value_counts()
    hand: dict[str, float] = {}
    for firm, other, _, _ in true:
        hand[firm] = 1.0
        hand[other] = hand.get(other, 0.0) + 1 / counts[firm]
    assert weight == pytest.approx(hand, abs=1e-14)
    assert pool.panel.constant("weight").sum() == pytest.approx(2 * len(counts), abs=1e-9)
    dates = pool.panel.constant("adoption")
    assert np.isfinite(dates).sum() == len(counts)
    steps = {step.reason: step.rows for step in pool.flow}
    assert steps["지원받은 단위"] == FRAME.dropna(subset=["adoption"])["id"].nunique()
    assert steps["짝이 있는 지원 단위"] == len(counts)
    assert sum(step.rows for step in pool.flow if step.rows < 0) == len(counts) - steps["지원받은 단위"]
    assert len(pool.unmatched) == steps["지원받은 단위"] - len(counts)
    wide = FRAME.pivot(index="id", columns="year", values="employment").loc[pool.panel.units.tolist()]
    np.testing.assert_array_equal(pool.panel.values("employment"), wide.to_numpy(dtype=float))


def test_order_of_rows_and_threads_change_no_match(engine: Engine, tmp_path: Path) -> None:
    first = matched_pool(
        open_source(engine, written(FRAME, tmp_path / "a.parquet")), DESIGN, rule=RULE, **WHERE
    )
    with open_engine("duckdb", memory="500MB", threads=1) as alone:
        shuffled = FRAME.sample(frac=1.0, random_state=1)
        second = matched_pool(
            open_source(alone, written(shuffled, tmp_path / "b.parquet")), DESIGN, rule=RULE, **WHERE
        )
    assert first.pairs.equals(second.pairs)
    same_panel(first.panel, second.panel)


def test_the_pool_goes_into_an_estimate(engine: Engine, tmp_path: Path) -> None:
    pool = matched_pool(
        open_source(engine, written(FRAME, tmp_path / "a.parquet")),
        DESIGN,
        rule=RULE,
        labels=["sido"],
        **WHERE,
    )
    design = Design("employment", cluster="sido", weight="weight", comparison="never")
    effects = group_time_effects(pool.panel, design, missing="pairs")
    assert np.isfinite(effects.values).any()


def test_reasons_of_firms_without_a_match(engine: Engine, tmp_path: Path) -> None:
    base = {"region": "11110", "industry": "10", "founded": 2000, "sido": "11", "w": 1, "sales": 1.0}
    rows = [
        *({"id": "young", "year": y, "employment": 7, "adoption": 2015.0, **base} for y in (2014, 2015)),
        *(
            {"id": "alone", "year": y, "employment": 900, "adoption": 2017.0, **base}
            for y in range(2014, 2019)
        ),
        *({"id": "gap", "year": y, "employment": 7, "adoption": 2017.0, **base} for y in (2014, 2016, 2017)),
        *({"id": "good", "year": y, "employment": 7, "adoption": 2017.0, **base} for y in range(2014, 2019)),
        *({"id": "other", "year": y, "employment": 8, "adoption": np.nan, **base} for y in range(2014, 2019)),
    ]
    path = written(pd.DataFrame(rows), tmp_path / "a.parquet")
    pool = matched_pool(open_source(engine, path), DESIGN, rule=RULE, **WHERE)
    assert pool.pairs[["unit", "match", "rank", "distance", "base"]].to_numpy().tolist() == [
        ["good", "other", 1, 2.0, 2016]
    ]
    assert dict(zip(pool.unmatched["unit"], pool.unmatched["reason"], strict=True)) == {
        "alone": "같은 칸에 짝이 될 단위가 없음",
        "gap": "짝짓기에 쓸 값이 빈 기간이 있음",
        "young": "지원 전 기간이 2개가 안 됨",
    }
    lonely = open_source(engine, written(pd.DataFrame(rows[:7]), tmp_path / "b.parquet"))
    with pytest.raises(DesignError, match=r"짝이 지어진 단위가 하나도 없음 \(지원받은 단위 2개\)"):
        matched_pool(lonely, DESIGN, rule=RULE, **WHERE)


def test_faults_are_sentences(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = open_source(engine, written(pd.concat([FRAME, FRAME.iloc[:1]]), tmp_path / "a.parquet"))
    with pytest.raises(DataError, match="같은 단위와 기간이 두 번 이상"):
        panel_of(twice, varying=["employment"], **WHERE)
    moved = FRAME.copy()
    moved.loc[moved.index[moved["adoption"].notna()][0], "adoption"] = 2016.0
    changing = open_source(engine, written(moved, tmp_path / "b.parquet"))
    with pytest.raises(DataError, match="고정 변수 adoption 이"):
        matched_pool(changing, DESIGN, rule=RULE, **WHERE)
    with pytest.raises(DataError, match="고정 변수 adoption 이"):
        supported_panel(changing, DESIGN, **WHERE)
    blank = FRAME.copy()
    blank.loc[blank.index[blank["adoption"].notna()][0], "adoption"] = np.nan
    partly = open_source(engine, written(blank, tmp_path / "d.parquet"))
    with pytest.raises(DataError, match=r"고정 변수 adoption 이.*일부만 비어 있음"):
        supported_panel(partly, DESIGN, **WHERE)
    source = open_source(engine, written(FRAME, tmp_path / "c.parquet"))
    with pytest.raises(DataError, match="고른 단위가 파일에 하나도 없음"):
        panel_of(source, varying=["employment"], units=pd.Series(["nobody"]), **WHERE)
    monkeypatch.setattr(panels, "MOST_UNITS", 100)
    with pytest.raises(DataError, match=f"단위가 {FRAME['id'].nunique()}개라 패널을 메모리에 올리지 않음"):
        panel_of(source, varying=["employment"], **WHERE)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"lags": 0}, "lags=0"),
        ({"ratio": 0}, "ratio=0"),
        ({"size_edges": (10, 5)}, r"size_edges=\(10, 5\) 이\(가\) 오름차순이 아님"),
    ],
)
def test_rules_that_mean_nothing(rule: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        MatchRule(**rule)  # type: ignore[arg-type]
