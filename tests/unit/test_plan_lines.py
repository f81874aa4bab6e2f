"""Every fault of a plan with its line; what is checked before the data are read; a plan's own facts where it cites facts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from evalkit.cli import cli
from evalkit.errors import FileError, PlanError, UsageError
from evalkit.study.costs import real_cost
from evalkit.study.indicators import all_series
from evalkit.study.inputs import fingerprint
from evalkit.study.outcomes.reported import reported_jobs, reported_sales
from evalkit.study.plan import load_plan
from evalkit.study.programme_of import fact_of, outcomes_of
from evalkit.study.starting import Beginning, begin

PROJECT = Path(__file__).resolve().parents[2]
FACTS = """
sources:
  A1: {title: 성과보고서, date: 2022-01-15}
facts:
  1.budget.national: {value: 12000, unit: 백만원, status: planned, year: 2019, quote: '국비 12,000백만원', source: A1}
  1.baseline.jobs: {value: 40, unit: 명, status: realised, year: 2018, quote: '2018년 40명', source: A1}
  1.target.jobs: {value: 100, unit: 명, status: target, year: 2021, quote: '신규 일자리 100명 목표', source: A1}
  1.outcome.jobs: {value: 85, unit: 명, status: realised, year: 2021, quote: '85명의 일자리 창출', source: A1}
  1.outcome.regular_share: {value: 80, unit: '%', status: realised, year: 2021, quote: '정규직 80%', source: A1}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").symlink_to(PROJECT / "notebooks")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    return tmp_path


def plan_of(root: Path, kind: str = "firms") -> Path:
    facts, plan, _ = begin(
        Beginning("ours", "우리 사업", "Ours", "", ((2019, 2021),), kind, ("부산",)), root=root
    )
    facts.write_text(facts.read_text(encoding="utf-8") + FACTS, encoding="utf-8")
    return plan


def checked(plan: Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["plan", "check", str(plan)])
    return result.exit_code, result.output


CHANGES = [
    ("  builder: firms", "   builder: firms", "  groups:", "들여쓰기나 따옴표"),
    ("  builder: firms", "\tbuilder: firms", "\tbuilder: firms", "탭(Tab)"),
    ("horizon: 2", "horizn: 2", "horizn: 2", "비슷한 이름: horizon"),
    ("horizon: 2", "horizon:2", "horizon:2", "한 칸 띄울 것"),
    ("    variable: jobs", "    varable: jobs", "    varable", "비슷한 이름: variable"),
    ("lang: ko", "lang: ko\nlang: en", "lang: en", "두 번 있음"),
    ("{outcome: [jobs, sales, survival]", "{outcome: [job, sales]", "{outcome: [job,", "비슷한 이름: jobs"),
    ("02_effect.ipynb", "02_efect.ipynb", "02_efect", "비슷한 이름: 02_effect.ipynb"),
    ("cohorts: [2019, 2021]", "cohorts: 2019", "cohorts: 2019", "목록([ ])"),
    ("horizon: 2", "horizon: -1", "horizon: -1", "0 이상"),
    ("horizon: 2 ", "horizon: 7 ", "periods: [2014, 2023]", "2026년까지 있어야"),
    ("comparison: never", "comparison: nevr", "comparison: nevr", "비슷한 이름: never"),
    ("facts: ours.facts.yml", "facts: our.facts.yml", None, "비슷한 이름: ours.facts.yml"),
    ("programme: ours", "programme: theirs", "programme: theirs", "같은 이름으로"),
    ("{table: deflator", "{table: defletor", "{table: defletor", "비슷한 이름: deflator"),
    ("ring_km: 20 ", "ring_kms: 20 ", "ring_kms", "비슷한 이름: ring_km"),
    ('["10", "20"]', '["10", "26"]', "전자·소프트웨어: [", "식품·화학"),
    ("en: supported firms}", "en: supported firms", "treated: {ko", "짝"),
    ("{ko: 고용, en: Jobs}", "{ko: 고용}", "label: {ko: 고용}", "en: 에 값을"),
    ("    # claimed: {1:", "    claimed: {2:", "    claimed: {2:", "쓸 수 있는 이름: 1"),
    ("  1:\n    label", "  2:\n    label", None, "2"),
]


@pytest.mark.parametrize(("old", "new", "at", "said"), CHANGES, ids=[new.strip() for _, new, _, _ in CHANGES])
def test_a_fault_of_a_plan_is_named_with_its_line(
    old: str, new: str, at: str | None, said: str, root: Path
) -> None:
    plan = plan_of(root)
    text = plan.read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new, 1)
    plan.write_text(changed, encoding="utf-8")
    code, output = checked(plan)
    assert code == 2, output
    assert said in output
    if at is not None:
        line = next(n for n, row in enumerate(changed.split("\n"), start=1) if at in row)
        assert f"[ours.yml > {line}행" in output, output


def test_a_plan_as_it_was_written_is_in_order(root: Path) -> None:
    code, output = checked(plan_of(root))
    assert (code, "이상 없음" in output) == (0, True), output


def test_a_phase_that_the_fact_file_does_not_have_is_named(root: Path) -> None:
    plan = plan_of(root)
    facts = root / "plans" / "ours.facts.yml"
    text = facts.read_text(encoding="utf-8").replace("number: 1,", "number: 3,").replace("  1.", "  3.")
    facts.write_text(text, encoding="utf-8")
    code, output = checked(plan)
    assert (code, "단계 1 이(가) 사실 파일 ours.facts.yml 의 phases 에 없음" in output) == (2, True), output


def test_every_source_without_a_file_is_named_at_once(root: Path) -> None:
    path = plan_of(root)
    folder = root / "data" / "raw" / "ours"
    for name in ("성과조사.xlsx", "고용보험/2020.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    with pytest.raises(FileError) as caught:
        fingerprint(path, load_plan(path))
    said = caught.value.sentence()
    for words in (
        "ours.yml > 자료 폴더 ours",
        "performance_survey → 성과조사/*.xls*",
        "deflator → 물가/*.csv",
        "바로 아래에 성과조사.xlsx 이(가) 있음",
    ):
        assert words in said
    assert "employment_insurance" not in said
    assert "national_pension" not in said  # may be absent


def test_an_empty_folder_points_to_its_own_readme(root: Path) -> None:
    path = plan_of(root, "regions")
    with pytest.raises(FileError, match=r"하나도 없음 .* → ours/README\.md 의 자리에"):
        fingerprint(path, load_plan(path))


# -- facts of one's own --------------------------------------------------------------------------------------


def test_a_plan_cites_its_own_facts_first(root: Path) -> None:
    plan = load_plan(plan_of(root))
    assert fact_of(plan, "1.outcome.jobs").number == fact_of(plan, "ours.1.outcome.jobs").number == 85
    assert fact_of(plan, "NIC.1.outcome.jobs").number == 649
    assert outcomes_of(plan, 1)["jobs"].number == 85
    assert outcomes_of(plan, 2) == {}
    with pytest.raises(UsageError, match=r"'1.outcome.job' 이\(가\) ours.facts.yml 에도 .*1.outcome.jobs"):
        fact_of(plan, "1.outcome.job")


def test_a_fact_file_that_was_changed_is_read_again(root: Path) -> None:
    plan = load_plan(plan_of(root))
    assert fact_of(plan, "1.outcome.jobs").number == 85
    facts = root / "plans" / "ours.facts.yml"
    text = facts.read_text(encoding="utf-8").replace(
        "value: 85, unit: 명, status: realised, year: 2021, quote: '85명",
        "value: 186, unit: 명, status: realised, year: 2021, quote: '186명",
    )
    facts.write_text(text, encoding="utf-8")
    assert fact_of(plan, "1.outcome.jobs").number == 186


def test_published_jobs_are_those_of_the_own_programme(root: Path) -> None:
    plan = load_plan(plan_of(root))
    found = reported_jobs(plan, 1)
    assert found is not None
    assert (found.jobs.number, [part.persons for part in found.parts]) == (85, [68])
    assert reported_sales(plan, 1) is None
    assert reported_jobs(plan, 2) is None


def test_a_cost_may_be_an_own_fact_in_another_unit(root: Path) -> None:
    path = plan_of(root)
    cost = "value:\n  prices: {base_year: 2020}\n  costs: {1: {items: [{years: [2019, 2021], fact: FACT}]}}\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + cost.replace("FACT", "1.budget.national"), encoding="utf-8")
    found = real_cost(load_plan(path), 1)
    assert found.nominal_eok == pytest.approx(120.0)  # 12,000백만원
    assert "성과보고서" in found.source("ko")
    path.write_text(text + cost.replace("FACT", "1.outcome.jobs"), encoding="utf-8")
    with pytest.raises(PlanError, match="단위 '명' 은"):
        real_cost(load_plan(path), 1)
    path.write_text(text + cost.replace("FACT", "1.budget.nationl"), encoding="utf-8")
    with pytest.raises(PlanError, match=r"1.budget.national"):
        real_cost(load_plan(path), 1)


def test_an_indicator_may_be_an_own_fact(root: Path) -> None:
    path = plan_of(root, "indicators")
    text = path.read_text(encoding="utf-8")
    start, end = text.index("      # baseline:"), text.index("      # 기준값이 없고")
    figures = "      baseline: {fact: 1.baseline.jobs, year: 2018}\n      target: {fact: ours.1.target.jobs, year: 2021}\n      observations: [{fact: 1.outcome.jobs, year: 2021}]\n"
    path.write_text(text[:start] + figures + text[end:], encoding="utf-8")
    (series,) = all_series(load_plan(path))
    assert (series.start, series.target, series.observed) == (
        (2018, 40.0),
        (2021, 100.0),
        {2018: 40.0, 2021: 85.0},
    )
    path.write_text(
        path.read_text(encoding="utf-8").replace("fact: 1.baseline.jobs", "fact: 1.baseline.job"),
        encoding="utf-8",
    )
    with pytest.raises(PlanError, match=r"1\.baseline\.jobs"):
        all_series(load_plan(path))
