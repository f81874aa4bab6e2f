"""The guard: nothing leaves that release did not mark, and no identifier in plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.errors import DisclosureError
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
from evalkit.report.guard import masked, refuse_identifiers_in_source, sanitised, scrubbed, shown_outputs

PAYLOAD = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def cell(*outputs: dict) -> dict:
    return {"cell_type": "code", "source": "", "outputs": list(outputs)}


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def rich(data: dict, *, marked: bool = True) -> dict:
    mark = {"evalkit": {"released": True}} if marked else {}
    return {"output_type": "display_data", "metadata": mark, "data": data}


def table(name: str = "t", text: str = "가") -> dict:
    rows = ((text, 1234.5),)
    made = Release().table(Tabulation(name, "표", (Column("a", "이름"), Column("b", "값", "number")), rows))
    data, metadata = made._repr_mimebundle_()
    return {"output_type": "execute_result", "metadata": metadata, "data": data}


def refused(*outputs: dict) -> str:
    with pytest.raises(DisclosureError) as caught:
        list(shown_outputs(cell(*outputs), place="결과"))
    assert caught.value.exit_code == 5
    return str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<table></table>", "text/plain": "frame"},
        {"image/png": "iVBOR"},
        {"text/plain": "Series"},
        {"application/javascript": "alert(1)"},
        {"text/latex": "x"},
        {"application/vnd.jupyter.widget-view+json": {}},
    ],
)
def test_rich_output_without_the_mark(data: dict) -> None:
    assert "공개 규칙을 거치지 않은 출력" in (said := refused(rich(data, marked=False)))
    assert "결과" in said


@pytest.mark.parametrize("mark", [{}, {"released": "yes"}, {"released": 1}, {"released": False}])
def test_a_mark_is_the_value_true(mark: dict) -> None:
    output = {"output_type": "display_data", "metadata": {"evalkit": mark}, "data": {"text/html": "x"}}
    assert "공개 규칙" in refused(output)


def test_a_marked_output_with_a_foreign_type_is_refused() -> None:
    assert "application/javascript" in refused(rich({"text/html": "x", "application/javascript": "alert(1)"}))


def test_what_release_made_is_shown() -> None:
    (shown,) = shown_outputs(cell(table()), place="결과")
    assert shown.form == "html"
    assert '<td class="num">1,234</td>' in shown.content
    assert shown.payload["kind"] == "table"
    assert 'scope="col"' in shown.content


def test_released_text_is_cleaned_again() -> None:
    (shown,) = shown_outputs(cell(rich({"text/html": f"<p>{PAYLOAD}<b>본문</b></p>"})), place="결과")
    assert shown.content == "<p><img><b>본문</b></p>"


@pytest.mark.parametrize(
    "fragment",
    [
        '<a href="javascript:alert(1)">x</a>',
        '<img src="https://example.org/x.png" alt="x">',
        '<img src="data:text/html;base64,PHNjcmlwdD4=">',
        "<svg onload=alert(1)></svg>",
        '<iframe src="//example.org"></iframe>',
        '<p style="background:url(//example.org)">x</p>',
        "<math><mtext><script>alert(1)</script></mtext></math>",
        '<a href="//example.org">x</a>',
    ],
)
def test_the_allow_list(fragment: str) -> None:
    clean = sanitised(fragment)
    for word in ("javascript", "example.org", "data:text", "alert", "onload", "style", "<svg", "<iframe"):
        assert word not in clean


def test_the_allow_list_keeps_what_tables_and_figures_need() -> None:
    kept = (
        '<figure id="f-a" lang="ko"><img src="data:image/svg+xml;base64,PHN2Zy8+" alt="설명"><figcaption>제목</figcaption>'
        '</figure><table><caption>c</caption><thead><tr><th scope="colgroup" colspan="2">가</th></tr></thead></table>'
    )
    assert sanitised(kept) == kept


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("담당 900101-1234567", "주민등록번호"),
        ("사업자 123-45-67890", "사업자등록번호"),
        ("1248100998", "사업자등록번호"),
        ("010-1234-5678", "전화번호"),
    ],
)
def test_identifiers_in_plain_text(text: str, kind: str) -> None:
    said = refused(stream(text))
    assert kind in said
    assert text.split()[-1] not in said
    with pytest.raises(DisclosureError):
        refuse_identifiers_in_source({"source": f"x = '{text}'"}, place="코드")


def test_plain_text_is_kept_as_text() -> None:
    (shown,) = shown_outputs(cell(stream("<b>1,234.5</b>\n")), place="결과")
    assert (shown.form, shown.content) == ("text", "<b>1,234.5</b>\n")


def test_a_printed_frame_is_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"기업": [f"회사{k}" for k in range(100)], "매출": range(100)})
    assert "행을 그대로" in refused(stream(f"{frame}\n"))
    assert "행을 그대로" in refused(stream(f"{frame['매출']}\n"))


def test_what_differs_between_machines_is_scrubbed(tmp_path: Path) -> None:
    cell_file = tmp_path / "ipykernel_4711" / "2811.py"
    text = f"{cell_file}:3: UserWarning\n{tmp_path}/src/a.py <object at 0x7f1234abcd>\x1b[31m"
    clean = scrubbed(text, [tmp_path])
    assert str(tmp_path) not in clean
    assert "4711" not in clean
    assert "0x7f12" not in clean
    assert "\x1b" not in clean
    assert "(공책 셀):3: UserWarning" in clean


def test_a_log_holds_no_long_number() -> None:
    assert (
        masked("사업자 123-45-67890 / 1248100998 / 12,345 / 2023-11-30")
        == "사업자 ■■■ / ■■■ / 12,345 / 2023-11-30"
    )
