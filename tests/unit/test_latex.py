"""LaTeX: nothing from outside is a command, and every cell can be read back."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.sample_document import HOSTILE, empty_table, full_table, plain_table, sample_document

from evalkit.plain_text import clean_text
from evalkit.present.document import Document, Exhibit, Heading, Part, Prose, Remark
from evalkit.present.tabulation import Column, Tabulation
from evalkit.present.writers.latex import figure_file, latex_figures, latex_table, latex_text
from evalkit.present.writers.latex_text import escaped, safe_formula
from evalkit.present.writers.layout import header_cells
from evalkit.present.writers.pictures import png_size

# all commands that the writer itself sets; none of them reads, writes, defines or changes what letters mean
COMMANDS = set(
    re.findall(
        r"\w+",
        """
        documentclass usepackage setlength LTcapwidth linewidth parindent parskip baselineskip setcounter
        newcommand evalkitbox par medskip smallskip noindent fbox parbox dimexpr fboxsep fboxrule
        renewcommand tablename figurename contentsname title author date begin end maketitle tableofcontents
        clearpage section subsection subsubsection paragraph subparagraph item textbf texttt emph newline
        Large bfseries footnotesize small scriptsize caption label centering toprule midrule bottomrule
        cmidrule multicolumn raggedleft raggedright arraybackslash tabcolsep includegraphics IfFileExists
        rule endfirsthead endhead endlastfoot extrarowheight textbackslash textasciitilde textasciicircum textless
        textgreater textbar textasciigrave textquotesingle textquotedbl symbol
        """,
    )
)
LETTERS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "textquotesingle": "'",
    "textquotedbl": '"',
}
ENVIRONMENTS = {
    *(
        "document",
        "table",
        "tabular",
        "longtable",
        "minipage",
        "figure",
        "itemize",
        "quote",
        "center",
        "description",
        "landscape",
    ),
}
TOKEN = re.compile(r"\\([A-Za-z]+|.)|\s+|.", re.DOTALL)


def commands(tex: str) -> set[str]:
    return {found[1] for found in TOKEN.finditer(tex) if found[1] and found[1].isalpha()}


def whole(tex: str) -> None:
    """Braces and environments close in order, and every command is one of the writer's."""
    assert commands(tex) - COMMANDS == set()
    depth = 0
    for found in TOKEN.finditer(tex):
        depth += {"{": 1, "}": -1}.get(found.group(), 0)
        assert depth >= 0
    assert depth == 0
    open_: list[str] = []
    for kind, name in re.findall(r"(?<!\\)\\(begin|end)\{(\w+)\}", tex):
        assert name in ENVIRONMENTS
        if kind == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert open_ == []
    assert "^^" not in tex
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", tex) is None


def plain(tex: str) -> str:
    """Text of escaped text: an inverse written from what the signs mean in TeX, not from the writer's table."""
    out: list[str] = []
    at = 0
    while at < len(tex):
        letter = tex[at]
        if letter == "\\":
            name = re.match(r"[A-Za-z]+|.", tex[at + 1 :])
            assert name is not None
            at += 1 + len(name.group())
            word = name.group()
            if word in LETTERS:
                out.append(LETTERS[word])
                assert tex[at : at + 2] == "{}"
                at += 2
            elif word == "symbol":
                found = re.match(r"\{(\d+)\}", tex[at:])
                assert found is not None
                out.append(chr(int(found[1])))
                at += found.end()
            elif word == "newline":
                out.append("\n")
                at += 1
            elif word == "textbf":
                pass  # its braces are groups
            else:
                assert word in "{}$&#%_"
                out.append(word)
            continue
        if letter not in "{}":
            assert letter not in "$&#%_^"
            out.append("\xa0" if letter == "~" else letter)
        at += 1
    return "".join(out)


def rows_of(tex: str) -> list[list[str]]:
    """The cells of the rows between the rules of a table, header and body."""
    body = (
        re.split(r"\\toprule\n", tex)[-1]
        .split("\\endlastfoot\n")[-1]
        .split("\\bottomrule")[0]
        .split("\\end{longtable}")[0]
    )
    found = []
    for line in body.split(" \\\\\n"):
        line = re.sub(r"^(\\midrule|\\endhead|(\\cmidrule\(lr\)\{\d+-\d+\})+|\s)*", "", line)
        if line:
            found.append(re.split(r"(?<!\\) ?& ?", line))
    return found


def written(text: str) -> str:
    """Text as TeX keeps it: tabs and line ends within a line are spaces."""
    return clean_text(text).replace("\t", " ")


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    assert plain(escaped(text)) == written(text).replace("\n", " ")


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(codec=None) | st.sampled_from("\\{}$&#%_^~<>|`'\"-,[]*\n\t\r \x00"), max_size=60)
)
def test_any_text_reads_back_and_holds_no_command(text: str) -> None:
    tex = escaped(text)
    assert plain(tex) == written(text).replace("\n", " ")
    assert commands(tex) <= {*LETTERS, "symbol"}
    assert not re.search(r"--|``|''|,,|<<|>>|\?`|!`", tex)  # what fonts would join


@pytest.mark.parametrize("table", [full_table(), plain_table()], ids=lambda table: table.name)
def test_every_cell_of_a_table_says_what_the_page_says(table: Tabulation) -> None:
    tex = latex_table(table)
    whole(tex)
    rows = rows_of(tex)
    top = 1 + max(cell.row for cell in header_cells(table))
    assert [plain(cell) for cell in rows[top - 1]] == [column.header for column in table.columns]
    for r, (role, cells) in enumerate(zip(table.roles, rows[top:], strict=True)):
        if role == "heading":
            assert cells == [r"\multicolumn{7}{p{\dimexpr\linewidth-2\tabcolsep}}{\textbf{인력}}"]
            continue
        shown = [plain(cell).replace("\xa0", " ") for cell in cells]
        assert shown == [table.text(r, c) for c in range(len(table.columns))]
    for note in table.notes:
        assert escaped(note) in tex
    assert f"\\caption{{{escaped(table.title)}}}\\label{{tab:{table.name}}}" in tex


def test_column_groups_stand_over_rules() -> None:
    tex = latex_table(full_table())
    assert r" & \multicolumn{2}{c}{평균} & \multicolumn{2}{c}{차이} &  &  \\" in tex
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in tex


def test_a_narrow_table_has_columns_of_its_own_width_and_a_wide_one_shares_the_line() -> None:
    assert r"\begin{tabular}{llr}" in latex_table(plain_table())
    table = Tabulation(
        "w", "넓은 표", [Column(f"c{n}", "긴 이름 " * 5) for n in range(9)], [("글 " * 30,) * 9]
    )
    tex = latex_table(table)
    shares = [float(share) for share in re.findall(r"\\dimexpr(0\.\d+)\\linewidth", tex)]
    assert len(shares) == 9
    assert sum(shares) == pytest.approx(1, abs=0.001)
    assert r"\scriptsize" in tex


def test_a_table_whose_words_do_not_fit_an_upright_page_is_set_across() -> None:
    def made(words: str, columns: int) -> str:
        heads = [Column(f"c{n}", words) for n in range(columns)]
        tex = latex_table(Tabulation("w", "표", heads, [("글 " * 30,) * columns], notes=("주",)))
        whole(tex)
        return tex

    upright, across = made("여덟글자인머리글", 5), made("여덟글자인머리글", 9)
    assert "landscape" not in upright
    assert across.startswith("\\begin{landscape}\n\\begin{table}")
    assert across.endswith("\\end{table}\n\\end{landscape}\n")
    assert r"\usepackage{pdflscape}" in latex_text(sample_document())


def test_no_line_ends_within_an_interval() -> None:
    assert "{[}−1.50,~2.25{]}" in latex_table(full_table())


def test_a_table_longer_than_a_page_goes_on_with_its_header() -> None:
    table = replace(plain_table(), rows=plain_table().rows * 40, roles=())
    tex = latex_table(table)
    whole(tex)
    assert tex.count("시·도 & 단계 & 기업 수") == 2
    assert r"\begin{table}" not in tex
    assert len(rows_of(tex)) == 80


def test_a_table_without_rows_or_columns_says_so() -> None:
    assert "해당하는 행이 없다." in latex_table(empty_table())
    assert "해당하는 행이 없다." in latex_table(Tabulation("none", "없는 표", (), [], stub=0))


def test_a_document_is_whole_and_holds_all() -> None:
    document = sample_document()
    tex = latex_text(document)
    whole(re.sub(r"\$\\beta_1\$|\\\[ .*? \\\]", "", tex))
    for words in (
        "국가혁신클러스터 & 실증",
        "이 보고서는 끝까지 실행되지 않았다.",
        "0a1b<2c>",
        "그림의 주",
        "효과 추정 · 고용",
    ):
        assert escaped(words) in tex
    for block in document.parts[0].blocks:
        if isinstance(block, Heading | Remark):
            assert escaped(block.text.strip("\n")).replace(" ", "") in tex.replace(r"\newline ", " ").replace(
                " ", ""
            )
    assert r"\textbf{굵고} \emph{기울고} \texttt{코드 x\_1}" in tex
    assert r"\section{효과 추정 · 고용 · 1단계(2018–20)}" in tex
    assert r"\[ y_i = \alpha + \beta d_i \]" in tex
    assert tex.count(r"\begin{table}[H]") == 4
    assert latex_text(document) == tex


def test_pictures_are_files_beside_the_text() -> None:
    document = sample_document()
    ((name, png),) = latex_figures(document).items()
    assert name == figure_file(1) == "figure-1.png"
    assert png_size(png) == (400, 200)
    tex = latex_text(document)
    assert rf"\includegraphics[width=\linewidth]{{{name}}}" in tex
    assert "사건연구 그림. 가로축은 경과 연수." in tex  # for who has not the file


def test_two_tables_of_one_name_have_two_labels() -> None:
    part = Part("p", "쪽", blocks=(Exhibit(plain_table()), Exhibit(plain_table())))
    tex = latex_text(replace(sample_document(), parts=(part,)))
    assert re.findall(r"\\label\{(.*?)\}", tex) == ["tab:plain", "tab:plain-2"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec=None), max_size=30) | st.sampled_from(HOSTILE), min_size=4, max_size=4
    ),
    st.integers(0, 3),
)
def test_no_text_in_any_place_becomes_a_command(texts: list[str], rows: int) -> None:
    a, b, c, d = texts
    columns = [Column(f"c{n}", text, group=texts[n % 2]) for n, text in enumerate(texts)]
    table = Tabulation("t", a, columns, [tuple(texts)] * rows, notes=texts)
    blocks = (Exhibit(table), Prose(a), Prose(f"- {b}\n  1. {c}\n"), Remark("note", b), Heading(2, c))
    tex = latex_text(Document("x", a, b, c, "ko", (Part("p", d, a, blocks, "failed", b),), (c,), ((d, a),)))
    # a formula that Markdown sees in a text may be set as one; all else is text
    formulas = {
        found for text in texts for found in re.findall(r"\$([^$\n]+)\$", text) if safe_formula(found)
    }
    for found in formulas:
        tex = tex.replace(f"${found}$", "")
    whole(tex)


@pytest.mark.parametrize(
    "tex",
    [
        r"\hat{\beta}_{1}",
        r"\frac{a+b}{c_2^{k}}",
        r"x^2",
        r"\sum_{i=1}^{n} y_i",
        r"p < 0.05",
        r"\mathrm{Pr}(D=1)",
        r"a \, b",
    ],
)
def test_a_formula_on_the_list_is_kept(tex: str) -> None:
    assert safe_formula(tex) == tex


@pytest.mark.parametrize(
    "tex",
    [
        *(
            r"\input{x}",
            r"\write18{ls}",
            r"\csname input\endcsname",
            r"\catcode`\%=12",
            r"^^5cinput",
            r"\def\x{y}",
        ),
        *(
            "a$b",
            "a%b",
            "a&b",
            "a#b",
            r"a\\b",
            "a}b{",
            "{a",
            "a}",
            "x^",
            "x_",
            "x^a^b",
            "_x",
            r"\frac{a}",
            r"\frac ab",
        ),
        *(
            r"\hat x",
            r"x^\hat{a}",
            "{}",
            "",
            " ",
            "\\",
            "{" * 50 + "a" + "}" * 50,
            "가",
            "a\nb",
            r"\text{a}",
            r"\left(a\right)",
        ),
    ],
)
def test_a_formula_that_is_not_is_text(tex: str) -> None:
    assert safe_formula(tex) == ""
