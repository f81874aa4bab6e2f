"""An evaluator's own fact file: read by the model of the built-in ones, every fault with its line and what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.programmes import read_programme
from evalkit.programmes.formulas import evaluate, named_in
from evalkit.study.profile import budget_rows

GOOD = """\
id: OURS
name: 우리 지역 사업
regions: [부산, 강원]
phases:
  - {number: 1, years: [2021, 2023]}
sources:
  D1: {title: 우리 부처 보도자료, date: 2024-02-01}
press:
  P1: {statement: '목표는 일자리 300개', urls: ['https://example.org/news']}
facts:
  1.budget.national:
    {value: 120, unit: 억원, status: planned, since: 2021, year: 2023, quote: '국비 120억원을 투입', source: D1}
  1.outcome.jobs: {value: 240, unit: 명, status: realised, quote: '일자리 240개', source: D1}
  target.jobs: {value: 300, unit: 명, status: target, source: P1, year: 2023}
derived:
  1.gross.cost_per_job: {label: 일자리당 국비, unit: 억원/명, formula: '{1.budget.national} / {1.outcome.jobs}'}
  twice: {label: 목표의 두 배, formula: '2 * {target.jobs}'}
budgets:
  - {phase: 1, fund: national, basis: planned, years: [2021, 2023], fact: 1.budget.national}
targets:
  - {name: 일자리, target: target.jobs, actual: 1.outcome.jobs}
overlaps:
  - {text: 국가혁신클러스터와 겹침, facts: [NIC.1.budget.national, E5]}
checks:
  A: {what: 예산의 세 해 평균, formula: '{1.budget.national} / 3', published: 40, result: ok}
"""


def read(folder: Path, text: str) -> str:
    """The sentence with which a file is refused."""
    path = folder / "ours.facts.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_programme(path)
    return caught.value.sentence()


def test_a_file_of_ones_own_is_a_programme_like_the_others(tmp_path: Path) -> None:
    path = tmp_path / "ours.facts.yml"
    path.write_text(GOOD, encoding="utf-8")
    ours = read_programme(path)
    assert (ours.id, ours.name(), ours.name("en")) == ("OURS", "우리 지역 사업", "우리 지역 사업")
    assert ours.phase(1).budgets["national"].number == 120
    assert ours.phase(1).outcomes["jobs"].cite() == (
        "240명 «일자리 240개» (실적; 발표 자료: 우리 부처 보도자료 (2024-02-01))"
    )
    ratio = ours.phase(1).ratios["cost_per_job"]
    assert (ratio.number, ratio.label) == (0.5, "derived")
    target = ours.fact("target.jobs")
    assert (target.label, target.urls) == ("press", ("https://example.org/news",))
    assert "확인 필요" in target.cite()
    assert (
        ours.fact("twice").label == "press"
    )  # what is computed with a figure of the press is no better than it
    assert ours.fact("NIC.1.budget.national").number == 1203  # cited from the kit's own files
    assert ours.fact("OURS.1.outcome.jobs") is ours.fact("1.outcome.jobs")
    assert [(c.id, c.published, c.computed) for c in ours.checks] == [("A", 40, 40.0)]


def test_reading_ones_own_file_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    from evalkit import programmes

    before = set(programmes.facts())
    (tmp_path / "o.yml").write_text(GOOD, encoding="utf-8")
    read_programme(tmp_path / "o.yml")
    read_programme(tmp_path / "o.yml")  # its sources are not «already there» the second time
    assert set(programmes.facts()) == before
    assert "D1" not in programmes.sources()


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("value: 120,", "value: 125,", ("12행", "수치 125 이(가) 인용문에 없음", "figure_in_quote: false")),
        ("quote: '일자리 240개', ", "", ("13행", "인용문(quote)이 없음", "그대로 옮겨")),
        ("source: D1}\n  1.outcome", "source: D9}\n  1.outcome", ("12행", "'D9' 을(를) 알 수 없음", "D1, P1")),
        ("quote: '일자리 240개', source: D1}", "quote: '일자리 240개'}", ("13행", "'source' 이(가) 없음")),
        ("status: realised", "status: realized", ("13행", "적힌 값: 'realized'", "비슷한 이름: realised")),
        ("status: realised", "state: realised", ("13행", "모르는 키 'state'", "비슷한 이름: status")),
        ("name: 우리 지역 사업", "names: 우리 지역 사업", ("2행", "모르는 키 'names'", "비슷한 이름: name")),
        ("regions: [부산, 강원]", "regions: [부산, 강원도]", ("3행", "시·도 '강원도' 을(를) 알 수 없음", "강원")),
        ("years: [2021, 2023]}\nsources", "years: [2023, 2021]}\nsources", ("5행", "[처음, 끝] 순서")),
        ("years: [2021, 2023]}\nsources", "years: [2021]}\nsources", ("5행", "years 는 [처음, 끝]")),
        ("number: 1,", "number: 하나,", ("5행", "적힌 값: '하나'", "정수")),
        ("number: 1,", "number: 0,", ("5행", "1 이상")),
        ("value: 300,", "value: 301,", ("14행", "수치 301 이(가) 보도의 글에 없음")),
        ("fact: 1.budget.national}", "fact: 1.budget.nationl}", ("19행", "'1.budget.nationl' 이(가) 없음", "1.budget.national")),
        ("- {phase: 1, fund", "- {phase: 2, fund", ("19행", "단계 2 이(가) phases 에 없음")),
        ("fund: national,", "fund: nation,", ("19행", "비슷한 이름: national")),
        ("/ {1.outcome.jobs}'", "/ {1.outcome.job}'", ("16행", "'1.outcome.job' 이(가) 없음", "1.outcome.jobs")),
        ("'2 * {target.jobs}'", "'2 ** {target.jobs}'", ("17행", "계산할 수 없음", "+ - * /")),
        ("{1.budget.national} / 3'", "{1.budget.national} / 0'", ("25행", "0으로 나눔")),
        ("facts: [NIC.1.budget.national, E5]", "facts: [NIC.9.budget]", ("23행", "'NIC.9.budget' 이(가) 없음")),
        ("  twice:", "  target.jobs:", ("17행", "facts 에도 있음")),
        ("  P1:", "  S1:", ("9행", "출처 'S1' 이(가) 이미 있음")),
        ("id: OURS", "id: NIC", ("1행", "이미 있는 사업임")),
        ("id: OURS", "id: 우리", ("1행", "영문자로 시작하는")),
        ("id: OURS\n", "", ("꼭 필요한 키 'id' 이(가) 없음",)),
        ("regions: [부산, 강원]", "regions: 부산", ("3행", "목록([ ])")),
        ("regions: [부산, 강원]", "regions: [부산, 강원", ("3행", "괄호가 닫히지 않았거나", "짝")),
        ("  1.outcome.jobs:", "  1.budget.national:", ("두 번 있음", "13행")),
        ("phases:\n", "phases:\n  - {number: 1, years: [2020, 2020]}\n", ("같은 number 가 두 번",)),
        ("  1.outcome.jobs:", "\t1.outcome.jobs:", ("13행", "탭(Tab)", "빈칸으로")),
        ("  1.outcome.jobs:", "   1.outcome.jobs:", ("13행", "들여쓰기나 따옴표", "빈칸 수")),
        ("quote: '일자리 240개'", "quote: '일자리 240개", ("13행", "따옴표", "짝")),
        ("quote: '일자리 240개'", "quote: @일자리", ("13행", "기호 '@'", "큰따옴표")),
        ("name: 우리 지역 사업", "name: 우리: 사업", ("2행", "콜론(:)", "큰따옴표")),
        ("id: OURS\n", "id:OURS\n", ("1행", "콜론")),
        ("value: 240,", "value:240,", ("13행", "'value:240'", "한 칸 띄울 것")),
        ("value: 240,", "value: 1,240,", ("13행", "키 자리에 240", "쉼표를 빼고")),
        ("'일자리 240개'", "“일자리, 240개”", ("13행", "240개”", "큰따옴표로 묶을 것")),
        ("value: 240,", "value: '240개',", ("13행", "'240개' 이(가) 글로 적힘", "unit 에")),
        ("value: 240, unit: 명,", "value: 240,", ("13행", "단위가 없음", "unit:")),
        ("status: realised", "status: recalled", ("13행", "기억에만 있는 수치", "quote 와 source")),
        ("status: realised", "status: 실적", ("13행", "realised (으)로 적을 것")),
        ("fund: national,", "fund: 도비,", ("19행", "local(지방비)")),
        ("  1.outcome.jobs: {", "  2.outcome.firms: {", ("13행", "2단계가 phases 에 없음", "1 (으)로 시작")),
        ("status: realised,", "status: realised, year: 2019,", ("13행", "2021–2023년", "2019 이(가) 단계의 시작보다 앞섬")),
        ("status: realised,", "status: realised, year: 2030,", ("13행", "2030 이(가) 출처 D1 의 날짜(2024-02-01)보다 뒤임")),
        ("value: 240, unit: 명,", "value: 240, unit: 천명,", ("13행", "나란히 놓이는", "명 (으)로")),
        ("unit: 명, status: realised", "unit: 명, status: planned", ("13행", "status 가 planned", "1.target.jobs")),
        ("unit: 억원, status", "unit: 달러, status", ("19행", "단위 '달러'", "백만원")),
        ("value: 120,", "value: -120,", ("12행", "-120 이(가) 인용문에 없음")),
        ("phases:\n  - {number: 1, years: [2021, 2023]}\n", "", ("1단계가 phases 에 없음",)),
        ("value: 300, unit: 명", "value: 300, unit: 개소", ("21행", "'개소'", "견줄 수 없음")),
        ("years: [2021, 2023], fact", "years: [2023, 2021], fact", ("19행", "거꾸로임", "[2021, 2023]")),
        ("checks:", "growth:\n  - {name: 예산, from: 1.budget.national, to: target.jobs}\nchecks:", ("25행", "단위 '명'", "증감")),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line_and_what_is_expected(
    old: str, new: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    assert GOOD.count(old) >= 1
    sentence = read(tmp_path, GOOD.replace(old, new, 1))
    assert sentence.startswith("[ours.facts.yml")
    for part in parts:
        assert part in sentence, sentence


def test_money_in_other_units_is_counted_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ours.facts.yml"
    text = GOOD.replace("value: 120, unit: 억원", "value: 12000, unit: 백만원").replace(
        "120억원을", "12,000백만원을"
    )
    path.write_text(text.replace("published: 40", "published: 4000"), encoding="utf-8")
    (row,) = budget_rows(read_programme(path))
    assert row.per_year == pytest.approx(40.0)  # 12,000백만원 = 120억원 over three years


def test_several_faults_are_counted(tmp_path: Path) -> None:
    sentence = read(
        tmp_path, GOOD.replace("status: realised", "status: x").replace("number: 1,", "number: x,")
    )
    assert "(그 밖에 1곳)" in sentence


def test_files_that_are_no_fact_files_are_refused(tmp_path: Path) -> None:
    assert "비어 있거나 목록임" in read(tmp_path, "- a\n- b\n")
    assert "비어 있거나 목록임" in read(tmp_path, "")
    with pytest.raises(UsageError, match=r"'our.facts.yml' 이\(가\) 없음.*비슷한 이름: ours.facts.yml"):
        read_programme(tmp_path / "our.facts.yml")
    (tmp_path / "cp949.yml").write_bytes("id: 우리".encode("cp949"))
    with pytest.raises(UsageError, match="UTF-8"):
        read_programme(tmp_path / "cp949.yml")


def test_formulas_do_arithmetic_and_nothing_else() -> None:
    values = {"a b.c": 6.0, "d(1)": 4.0}
    assert evaluate("({a b.c} - {d(1)}) * -2 / 4", values.__getitem__) == -1.0
    assert named_in("{a} / {b} + {a}") == ("a", "b")
    for bad in ("__import__('os')", "{a b.c} if 1 else 2", "v0", "True + 1", "", "{a b.c}.real", "(1"):
        with pytest.raises(UsageError, match="계산할 수 없음"):
            evaluate(bad, values.__getitem__)
