"""Ways to bring an identifier into a report: disguises of a number, and the places where it could stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from planted_run import MAIL, NUMBER, PERSON, PHONE

from evalkit.present import figures
from evalkit.present.tabulation import Column, Identity, Tabulation
from evalkit.release import Release


@dataclass(frozen=True)
class Entry:
    """One way in."""

    family: str
    name: str
    make: Callable[[], Any]


def enter(entry: Entry) -> Any:
    """Try it."""
    return entry.make()


def _wide(text: str) -> str:
    return text.translate({ord(a): 0xFF10 + k for k, a in enumerate("0123456789")} | {ord("-"): 0xFF0D})


DISGUISES = {
    "주민등록번호, 그대로": PERSON,
    "주민등록번호, 붙임표 없이": PERSON.replace("-", ""),
    "주민등록번호, 전각 숫자": _wide(PERSON),
    "주민등록번호, 폭 없는 글자로 나눔": "\u200b".join(PERSON),
    "주민등록번호, 한 칸씩 띄움": " ".join(PERSON.replace("-", "")),
    "주민등록번호, 뒷자리를 별표로": PERSON[:8] + "******",
    "주민등록번호, 점으로 나눔": PERSON.replace("-", "."),
    "주민등록번호, 긴 줄표": PERSON.replace("-", "—"),
    "법인등록번호": "110111-1234567",
    "사업자등록번호, 그대로": NUMBER,
    "사업자등록번호, 붙임표 없이": NUMBER.replace("-", ""),
    "사업자등록번호, 빈칸으로": NUMBER.replace("-", " "),
    "사업자등록번호, 소수점이 붙음": NUMBER.replace("-", "") + ".0",
    "사업자등록번호, 동그라미 숫자": "①②④-⑧①-⓪⓪⑨⑨⑧",
    "사업자등록번호, 굵게 표시로 나눔": "124-**81**-00998",
    "사업자등록번호, 태그로 나눔": "124-<b>81</b>-00998",
    "휴대전화, 그대로": PHONE,
    "휴대전화, 붙임표 없이": PHONE.replace("-", ""),
    "휴대전화, 점으로": PHONE.replace("-", "."),
    "휴대전화, 나라 번호": "+82 10-2345-6789",
    "휴대전화, 아랍 숫자": PHONE.translate({ord(a): 0x0660 + k for k, a in enumerate("0123456789")}),
    "휴대전화, 글자 O 로 적은 0": "O1O-2345-6789",
    "휴대전화, 글자 참조": PHONE.replace("0", "&#48;"),
    "휴대전화, 방향을 뒤집는 글자": PHONE.replace("-", "\u202e-"),
    "휴대전화, 취소선을 겹침": "".join(f"{sign}\u0336" for sign in PHONE),
    "휴대전화, 주석으로 나눔": "010<!-- x -->-2345-6789",
    "유선전화": "02-555-1234",
    "전자우편": MAIL,
    "전자우편, 전각 골뱅이": MAIL.replace("@", "＠"),
}


def _table(**change: Any) -> Any:
    values: dict[str, Any] = {
        "name": "t",
        "title": "제목",
        "columns": (Column("a", "가"), Column("b", "나")),
        "rows": (("부산", "값"),),
    }
    return Release().table(Tabulation(**{**values, **change}))


def _figure(**words: Any) -> Any:
    frame = pd.DataFrame(
        {"estimate": [0.1, 1.0], "conf_low": [-1.0, 0.2], "conf_high": [1.0, 2.0]},
        index=pd.Index(["가", "나"], name="x"),
    )
    values: dict[str, Any] = {"title": "제목", "xlabel": "매출", "name": "f", "firms": False}
    return Release().figure(figures.forest(frame, **{**values, **words}))


def _search(value: Any) -> Any:
    from evalkit.report.plan_search import refuse_in

    return refuse_in(value, ("plan.yml",))


ENTRIES = [
    Entry("식별자의 변장", name, lambda text=text: Release().text(f"기업 {text} 이다"))
    for name, text in DISGUISES.items()
] + [
    Entry("식별자의 자리", "표의 칸", lambda: _table(rows=(("부산", NUMBER),))),
    Entry("식별자의 자리", "표의 행 이름", lambda: _table(rows=((NUMBER, "값"),))),
    Entry("식별자의 자리", "여러 칸에 나누어", lambda: _table(rows=(("010", "2345-6789"),))),
    Entry("식별자의 자리", "표의 제목", lambda: _table(title=PHONE)),
    Entry("식별자의 자리", "표의 주", lambda: _table(notes=(MAIL,))),
    Entry("식별자의 자리", "표의 이름 (파일 이름이 된다)", lambda: _table(name=NUMBER)),
    Entry("식별자의 자리", "열의 이름", lambda: _table(columns=(Column("a", "가"), Column("b", PHONE)))),
    Entry("식별자의 자리", "열의 열쇠", lambda: _table(columns=(Column("a", "가"), Column(NUMBER, "나")))),
    Entry(
        "식별자의 자리",
        "열의 묶음",
        lambda: _table(columns=(Column("a", "가"), Column("b", "나", group=PERSON))),
    ),
    Entry("식별자의 자리", "칸의 표시", lambda: _table(marks={(0, 1): PHONE})),
    Entry("식별자의 자리", "수량의 이름", lambda: _table(keys={(0, 1): f"sales.{NUMBER}"})),
    Entry("식별자의 자리", "수량의 합", lambda: _table(identities=(Identity("a", (NUMBER,)),))),
    Entry("식별자의 자리", "기업명 열", lambda: _table(columns=(Column("a", "가"), Column("b", "기업명")))),
    Entry(
        "식별자의 자리",
        "수의 열에 적은 번호",
        lambda: _table(
            columns=(Column("a", "가"), Column("b", "나", "integer")),
            rows=(("가", 1248100998), ("나", 1168200276)),
        ),
    ),
    Entry("식별자의 자리", "그림의 제목", lambda: _figure(title=NUMBER)),
    Entry("식별자의 자리", "그림의 축", lambda: _figure(xlabel=PHONE)),
    Entry("식별자의 자리", "그림의 주", lambda: _figure(note=MAIL)),
    Entry("식별자의 자리", "그림의 이름 (파일 이름이 된다)", lambda: _figure(name=NUMBER)),
    Entry("식별자의 자리", "알림", lambda: Release().notice("note", PHONE)),
    Entry("식별자의 자리", "결론의 문장", lambda: Release().headline("매출", "12명", f"{PHONE} 로 물을 것")),
    Entry("식별자의 자리", "첫 쪽에 실리는 문장", lambda: Release().text("글", headline=f"담당 {PHONE}")),
    Entry("식별자의 자리", "계획의 설명", lambda: _search({"notes": {"who": {"ko": f"담당 {PHONE}"}}})),
    Entry("식별자의 자리", "계획의 열쇠", lambda: _search({"outcomes": {NUMBER: {}}})),
    Entry("식별자의 자리", "매개변수의 값", lambda: _search({"firm": 1248100998})),
    Entry("식별자의 자리", "입력 파일의 이름", lambda: _search([{"path": f"성과_{PHONE}.xlsx"}])),
    Entry("식별자의 자리", "날것의 자료", lambda: Release().table(pd.DataFrame({"기업명": ["가"]}))),  # type: ignore[arg-type]
]
