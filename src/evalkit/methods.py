"""The register of methods: every card that a module of `estimators`, `inference`, `checks` or `balancing` carries.

A new method is a new file with its `CARDS`; nothing here changes. `evalkit methods` prints the register, and METHODS.md
is the same as a page (`evalkit methods --page`).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_args

from evalkit.errors import UsageError, nearest
from evalkit.method_card import Group, MethodCard

PACKAGES = ("estimators", "inference", "checks", "balancing", "appraisal")
HEADINGS: dict[Group, str] = {
    "two_way": "기본: 이원고정효과와 사건연구",
    "staggered": "도입 시점이 서로 다른 지원",
    "phases": "1단계 다음의 3단계: 이어진 두 지원",
    "doses": "지원 규모와 발전단계",
    "triple": "삼중차분: 지역 × 대상 산업",
    "spillovers": "이웃 지역으로 번진 효과",
    "synthetic": "합성 비교집단",
    "outcomes": "건수·비율·0이 많은 결과",
    "rare": "드문 사건: 폐업과 이전",
    "distribution": "분포와 탈락",
    "flows": "이전의 흐름",
    "panel": "패널 회귀",
    "exact": "작은 표본에서 정확한 추론",
    "diagnostics": "이원고정효과의 진단",
    "clusters": "군집이 적을 때의 표준오차와 부트스트랩",
    "few_treated": "지원받은 군집이 몇 안 될 때",
    "spatial": "이웃끼리 함께 움직이는 자료",
    "many": "여러 결과와 되풀이하는 평가",
    "before": "결과를 보기 전: 비교집단과 검정력",
    "trends": "평행 추세와 민감도",
    "robustness": "위약 검정과 강건성",
    "value": "비용과 비율",
}


@dataclass(frozen=True, slots=True)
class Method:
    """A card and where it stands: ``home`` is the module, such as evalkit.estimators.imputation."""

    home: str
    card: MethodCard


def _homes() -> list[str]:
    """Modules that assign CARDS, found without importing them (some load statsmodels or linearmodels)."""
    root = Path(__file__).parent
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "CARDS" in text and any(
                isinstance(node, ast.Assign | ast.AnnAssign)
                and "CARDS"
                in [
                    getattr(t, "id", "")
                    for t in (node.targets if isinstance(node, ast.Assign) else [node.target])
                ]
                for node in ast.parse(text).body
            ):
                found.append(f"evalkit.{package}.{path.stem}")
    return found


def methods() -> list[Method]:
    """Every method, by family and then by name of its function."""
    order = list(get_args(Group))
    found = [Method(home, card) for home in _homes() for card in import_module(home).CARDS]
    return sorted(found, key=lambda m: (order.index(m.card.group), m.home, m.card.function))


def method(name: str) -> Method:
    """The method whose function has this name.

    Raises
    ------
    UsageError : there is none; the sentence names the nearest
    """
    known = {m.card.function: m for m in methods()}
    if name not in known:
        raise UsageError(f"방법 {name!r} 이(가) 없음", remedy=nearest(name, known))
    return known[name]


def listing() -> str:
    """One line a method under the heading of its family, for the terminal."""
    lines: list[str] = []
    last = ""
    for found in methods():
        card = found.card
        if card.group != last:
            lines += ["", HEADINGS[card.group]] if lines else [HEADINGS[card.group]]
            last = card.group
        lines.append(f"  {card.function:<34} {card.name}: {card.question}")
    return "\n".join(lines)


def description(found: Method) -> str:
    """Everything a card says, for the terminal."""
    card = found.card
    rows = [
        ("질문", [card.question]),
        ("가정", list(card.assumptions)),
        ("결과", [card.returns]),
        ("문헌", [card.reference]),
        ("대조", list(card.oracle)),
        ("차이", [card.differs] if card.differs else []),
        ("거절", [card.refuses] if card.refuses else []),
        ("쓰기", [f"from {found.home} import {card.function}"]),
    ]
    lines = [f"{card.name} ({card.english})"]
    for label, values in rows:
        for i, value in enumerate(values):
            lines.append(f"  {label if i == 0 else '    '}  {value}")
    return "\n".join(lines)


def page() -> str:
    """METHODS.md: the register as a page."""
    lines = [
        "# 방법",
        "",
        "이 꾸러미로 답할 수 있는 질문과 그 방법. 이 쪽은 코드 곁의 설명에서 `evalkit methods --page` 로 만든다: 손으로 고치지 않는다.",
        "",
        "모든 방법은 `방법(panel, design, …) -> Estimate` 이다. `Estimate` 는 영향함수(`influence`)와 군집을 하나씩 뺀"
        " 추정치(`replicates`)를 지니므로, 뒤따르는 추론·진단·비교는 어느 방법의 결과든 똑같이 읽는다.",
        "",
    ]
    lines += [
        "## 추론의 자동 규칙 (`inference: auto`)",
        "",
        "처치 군집과 비교 군집의 수와 크기, 그리고 방법에 따라 무엇이 대표 결과가 되는지 한 표(`evalkit.inference.DECISIONS`)가 정한다."
        " `3–7% 확인` 은 참인 귀무가설을 5% 검정이 3–7%만 기각했는지를 docs/rigour.md 의 M1–M4 에서 보았다는 뜻이다.",
        "",
        *rule_table(),
        "",
    ]
    found = methods()
    for group in get_args(Group):
        members = [m for m in found if m.card.group == group]
        if not members:
            continue
        lines += [f"## {HEADINGS[group]}", "", "| 방법 | 답하는 질문 |", "|---|---|"]
        lines += [
            f"| [{m.card.name}](#{m.card.function}) `{m.card.function}` | {m.card.question} |"
            for m in members
        ]
        lines.append("")
        for m in members:
            lines += _entry(m)
    return "\n".join(lines).rstrip() + "\n"


STRENGTH_WORDS = {
    "nothing": "0개",
    "one": "1개",
    "few": "2–4개, 또는 유효 수 5개 미만, 또는 군집 하나를 빼면 추정할 수 없음",
    "enough": "5개 이상(유효 수도)",
    "many": "40개 이상이고 더 큰 군집이 곁에 있음",
}
ASSIGNMENT_WORDS = {"clusters": "군집째로", "within": "군집 안에서"}
REFITTING_WORDS = {"linear": "결과에 선형", "ratio": "비율", "none": "추정 결과만"}


def rule_table() -> list[str]:
    """The automatic rule as a table: the rows of `evalkit.inference.DECISIONS`, in their order."""
    from evalkit.inference.choice import DECISIONS
    from evalkit.present.messages import say

    def words(values: tuple[str, ...], table: dict[str, str]) -> str:
        return ", ".join(table[value] for value in values) or "어느 것이든"

    lines = [
        "| 규칙 | 적은 쪽의 군집 | 지원이 정해진 곳 | 다시 추정할 수 있는 것 | 처치 군집이 더 큼 | 대표 결과 | 곁에 두는 것 | 3–7% 확인 | 까닭 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in DECISIONS:
        larger = {(): "어느 것이든", (True,): "예", (False,): "아니오"}[row.larger]
        lead = {"none": "없음", "wider": "둘 중 넓은 쪽", "levels": "두 수준 중 넓은 쪽"}.get(
            row.lead, row.lead
        )
        cells = [
            row.rule,
            words(row.strength, STRENGTH_WORDS),
            words(row.assignment, ASSIGNMENT_WORDS),
            words(row.refitting, REFITTING_WORDS),
            larger,
            lead,
            ", ".join(row.companions) or "–",
            "예" if row.covers else "아니오",
            say(f"study.rule.{row.reason}", "ko"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _entry(found: Method) -> list[str]:
    card = found.card
    lines = [
        f"### {card.function}",
        "",
        f"**{card.name}** ({card.english}). {card.question}",
        "",
        f"- 쓰기: `from {found.home} import {card.function}`",
        "- 가정: " + " ".join(card.assumptions),
        f"- 결과: {card.returns}",
        f"- 문헌: {card.reference}",
        "- 대조: " + "; ".join(card.oracle),
    ]
    if card.differs:
        lines.append(f"- 차이: {card.differs}")
    if card.refuses:
        lines.append(f"- 거절: {card.refuses}")
    return [*lines, ""]
