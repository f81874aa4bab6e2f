"""A document with one of everything that a writer must write, made by hand, and texts that no writer may trust."""

from __future__ import annotations

from evalkit.present.document import Answer, Document, Exhibit, Heading, Part, Picture, Prose, Remark
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Entry, Tabulation

HOSTILE = (
    "<script>alert(1)</script>",
    "]]><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;",
    "</hp:t></hp:run><hp:ctrl><hp:fieldBegin type='HYPERLINK'/></hp:ctrl>",
    'a" onload="x',
    "&lt;b&gt; & &amp;",
    "\\input{/etc/passwd}",
    "\\immediate\\write18{rm -rf x}",
    "\\catcode`\\%=12 % ^^5cinput",
    "$\\begin{document}$ {}~^_#&%\\",
    "\\end{tabular}\\end{document}",
    '=HYPERLINK("http://evil.invalid")',
    "a\x00b\x07c\x1bd\x85e\ud800f\ufffe",
    "가\u202e나\u2066다\u200b라",
    "tab\tnew\nline\r\nend",
    "--- -- `` '' ?` !` << >> ,,",
    "ﬁ ₂ é 漢字 한글 😀 −1 ‘q’ “q” †‡◆ ≤≥ ∞",
    "[링크](javascript:alert(1)) ![그림](http://evil.invalid/x.png)",
    "",
    " ",
)

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="144pt" height="72pt" viewBox="0 0 144 72">'
    '<rect x="10" y="10" width="60" height="40" fill="#0b3a6e"/></svg>'
)

MARKDOWN = """첫 문단은 **굵고** *기울고* `코드 x_1` 이며 ~~지운 글~~ 도 있다. <b>태그는 글이다</b>.
다음 줄이 이어진다.

둘째 문단 ($\\beta_1$): [자료](https://example.org/a?b=c&d) 를 본다.

- 하나
  - 하나의 아래
    - 그 아래
- 둘

  둘의 이어짐

3. 셋째부터
4. 넷째

> 인용한 글

```
code  {x} \\y
```

$$
y_i = \\alpha + \\beta d_i
$$

| 이름 | 값 |
|------|---:|
| 가   | 1  |
| 나 & 다 | 2  |

---

각주가 있다[^a].

[^a]: 각주의 글
"""


def full_table(lang: Lang = "ko", name: str = "full") -> Tabulation:
    """Column groups, a row that heads others, a total, marks, a suppressed cell, an entry with its own unit, notes."""
    return Tabulation(
        name,
        "지원 직전 두 집단의 차이 & 검정",
        (
            Column("item", "변수"),
            Column("treated", "처치", "number", "명", 1, "평균"),
            Column("comparison", "비교", "number", "명", 1, "평균"),
            Column("interval", "95% 신뢰구간", "interval", "", 2, "차이"),
            Column("p", "p값", "p_value", group="차이"),
            Column("year", "연도", "year"),
            Column("code", "코드", "code"),
        ),
        [
            ("인력", None, None, None, None, None, None),
            ("고용", 1234.5, -3.25, (-1.5, 2.25), 0.0004, 2018, "00150"),
            ("매출", None, 12.0, (float("-inf"), 3.0), 0.9999, 2019, "=1+1"),
            ("줄\n바꿈", 0.5, Entry(0.25, "percent", 0), None, 0.03, 2020, ""),
            ("합계", 1235.0, 9.0, (0.5, 4.0), 0.5, None, "−"),
        ],
        notes=("† 절댓값이 0.1 이상인 변수이다.", "* 기업 수가 적어 가린 값 <3."),
        stub=1,
        marks={(1, 1): "†", (2, 1): "*"},
        roles=("heading", "body", "body", "body", "total"),
        lang=lang,
    )


def plain_table(name: str = "plain") -> Tabulation:
    """No groups, two columns in the stub, no notes."""
    return Tabulation(
        name,
        "시·도별 수",
        (Column("a", "시·도"), Column("b", "단계"), Column("n", "기업 수", "integer")),
        [("충북", "1단계", 12), ("전남", "3단계", 3456)],
        stub=2,
    )


def empty_table(name: str = "empty") -> Tabulation:
    """Columns without rows."""
    return Tabulation(name, "빈 표", (Column("a", "가"), Column("b", "나", "number", group="묶음")), [])


def hostile_table(name: str = "hostile") -> Tabulation:
    """Every untrusted text in every place of a table."""
    return Tabulation(
        name,
        HOSTILE[0],
        (
            Column("a", HOSTILE[1]),
            Column("b", HOSTILE[2], group=HOSTILE[5]),
            Column("c", HOSTILE[8], unit=HOSTILE[3]),
        ),
        [(text, text, text) for text in HOSTILE],
        notes=HOSTILE,
        marks={(0, 1): HOSTILE[4]},
    )


def sample_document(lang: Lang = "ko") -> Document:
    """Two parts, one of which could not be made, and facts."""
    blocks = (
        Heading(2, "결론"),
        Answer("고용 · 1단계", "+1.89명/기업 [1.31, 2.48]", "고용은 늘어난 것으로 추정된다.", "3"),
        Answer("매출 · 1단계", "−0.4%", "달라졌다고 볼 근거가 없다."),
        Prose(MARKDOWN),
        Remark("note", "첫 알림"),
        Remark("caution", "둘째 알림\n다음 줄"),
        Remark("danger", "셋째 알림"),
        Heading(3, "표와 그림"),
        Exhibit(full_table(lang)),
        Exhibit(plain_table()),
        Exhibit(empty_table()),
        Picture(
            "event",
            "고용은 시작 뒤 늘었다",
            SVG,
            "사건연구 그림. 가로축은 경과 연수.",
            plain_table("values"),
            "그림의 주",
        ),
        Heading(6, "글"),
        *(Prose(text) for text in HOSTILE),
        *(Remark("note", text) for text in HOSTILE),
        *(Heading(4, text) for text in HOSTILE),
        Exhibit(hostile_table()),
    )
    return Document(
        "sample",
        "영향 평가 <보고서>",
        "국가혁신클러스터 & 실증",
        "지원이 없었을 때와 비교해 얼마나 달라졌는가?",
        lang,
        (
            Part("02_effect", "효과 추정", "고용 · 1단계(2018–20)", blocks),
            Part("04_summary", "종합 요약", state="failed", sentence="이 보고서는 끝까지 실행되지 않았다."),
        ),
        ("모의 자료로 만든 보고서입니다.",),
        (("계획 해시", "0a1b<2c>"), ("판", "0.7")),
    )
