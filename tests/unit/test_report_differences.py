"""What moved between two runs and why: by name of table, row and column, headlines first, each with its cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import FileError
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import PAYLOAD, Release
from evalkit.report.differences import Difference, Movement, compare
from evalkit.report.provenance import REASONS
from evalkit.report.results import results_bytes
from evalkit.report.store import write_run

Rows = tuple[tuple[Any, ...], ...]
ROWS: Rows = (("고용", 12.0, (2.0, 22.0)), ("매출", 5.0, (-1.0, 11.0)), ("생존", 0.5, None))


def table(rows: Rows = ROWS, name: str = "effects", lang: str = "ko", counts: Any = None) -> dict[str, Any]:
    columns = (
        Column("what", "무엇"),
        Column("estimate", "추정값", "number"),
        Column("ci", "구간", "interval"),
    )
    made = Tabulation(name, "효과", columns, rows, lang=lang, counts=counts)  # type: ignore[arg-type]
    return dict(Release(min_firms=3, lang=lang).table(made).data[PAYLOAD])


def headline(value: str = "12명", sentence: str = "12명 늘었다.") -> dict[str, Any]:
    return dict(Release().headline("고용", value, sentence, 3).data[PAYLOAD])


def text(words: str) -> dict[str, Any]:
    return dict(Release().text(words).data[PAYLOAD])


class Run:
    """A report folder as a run leaves it, without its pages."""

    def __init__(self, folder: Path, **pages: list[dict[str, Any]]) -> None:
        self.folder = folder
        (folder / "results").mkdir(parents=True)
        for name, payloads in pages.items():
            (folder / "results" / f"{name}.json").write_bytes(results_bytes(payloads, name))
        made_of = dict.fromkeys(REASONS, "0")
        self.record: dict[str, Any] = {
            "lang": "ko",
            "seed": 1,
            "plan": {"content": {"id": "nic", "inference": {"seed": 7}, "horizon": 2}},
            "inputs": [{"path": "panel.csv", "sha256": "a", "bytes": 10}],
            "tables": [{"source": "survey", "file": "panel.csv", "sheet": "", "rows": 100}],
            "versions": {"numpy": "2.4.6"},
            "code": {"sha256": "c", "lock": "l", "parts": {"study": "1", "present": "2"}, "commit": "f" * 40},
            "jobs": {
                name: {"state": "ok", "made_of": dict(made_of), "files": {}, "notebook": "effect.ipynb"}
                for name in pages
            },
        }
        self.save()

    def save(self) -> None:
        write_run(self.folder, self.record)

    def made_of(self, **values: str) -> None:
        for job in self.record["jobs"].values():
            job["made_of"] |= values
        self.save()


def runs(tmp_path: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[Run, Run]:
    return Run(tmp_path / "before", page=before), Run(tmp_path / "after", page=after)


def moved(
    tmp_path: Path, before: list[dict[str, Any]], after: list[dict[str, Any]], **options: Any
) -> Difference:
    one, two = runs(tmp_path, before, after)
    return compare(one.folder, two.folder, **options)


def test_the_same_numbers_do_not_move(tmp_path: Path) -> None:
    found = moved(tmp_path, [headline(), table(), text("가")], [headline(), table(), text("가")])
    assert (found.movements, found.ingredients, found.unexplained) == ((), (), ())


def test_a_cell_is_found_by_the_names_of_its_row_and_column(tmp_path: Path) -> None:
    """Another order of rows moves nothing; a changed cell tells its size."""
    other = (ROWS[2], ("매출", 6.0, (-1.0, 11.0)), ROWS[0])
    (found,) = moved(tmp_path, [table()], [table(other)]).movements
    assert found == Movement("page", "table", "effects", "매출", "estimate", 5.0, 6.0, 1.0, 0.2, False)


@pytest.mark.parametrize(
    ("row", "crosses"),
    [
        (("고용", -12.0, (2.0, 22.0)), True),
        (("고용", 13.0, (2.0, 22.0)), False),
        (("고용", 0.0, (2.0, 22.0)), True),
        (("고용", 12.0, (-0.1, 22.0)), True),
        (("고용", 12.0, (1.0, 22.0)), False),
    ],
)
def test_crossing_zero_is_told(tmp_path: Path, row: tuple[Any, ...], crosses: bool) -> None:
    (found,) = moved(tmp_path, [table()], [table((row, *ROWS[1:]))]).movements
    assert found.crosses_zero is crosses


def test_headlines_come_first_then_what_crosses_zero_then_size(tmp_path: Path) -> None:
    after = (("고용", 24.0, (2.0, 22.0)), ("매출", -5.0, (-1.0, 11.0)), ("생존", 0.51, None))
    found = moved(
        tmp_path,
        [text("가"), table(), headline()],
        [text("나"), table(after), headline("24명", "12명 늘었다.")],
    )
    told = [(m.place, m.row) for m in found.movements]
    assert told == [("headline", ""), ("table", "매출"), ("table", "고용"), ("table", "생존"), ("text", "")]
    assert (found.movements[0].before, found.movements[0].after) == ("12명", "24명")


def test_a_tolerance_is_relative(tmp_path: Path) -> None:
    after = (("고용", 12.1, (2.0, 22.01)), *ROWS[1:])
    one, two = runs(tmp_path, [table()], [table(after)])
    assert len(compare(one.folder, two.folder).movements) == 2
    assert len(compare(one.folder, two.folder, tolerance=0.001).movements) == 1
    assert compare(one.folder, two.folder, tolerance=0.01).movements == ()


def test_ten_significant_digits_are_exact(tmp_path: Path) -> None:
    a, b, c = ((("고용", v, None),) for v in (1 / 3, 1 / 3 + 1e-12, 1 / 3 + 1e-9))
    one, two = runs(tmp_path, [table(a)], [table(b)])
    assert compare(one.folder, two.folder).movements == ()
    assert len(moved(tmp_path / "more", [table(a)], [table(c)]).movements) == 1


def test_what_came_and_went_is_told(tmp_path: Path) -> None:
    one = Run(tmp_path / "one", page=[table(), table(name="old")], gone=[headline()])
    two = Run(tmp_path / "two", page=[table(ROWS[:2], counts=(9, 2)), table(name="new")], come=[headline()])
    two.record["jobs"]["page"]["state"] = "failed"
    two.save()
    found = compare(one.folder, two.folder)
    assert (found.gone, found.come, found.states) == (("gone",), ("come",), {"page": ("ok", "failed")})
    told = {(m.name, m.row, m.column): (m.before, m.after) for m in found.movements}
    assert told["effects", "생존", "estimate"] == (0.5, None)
    assert told["old", "", ""] == ("효과", None)
    assert told["new", "", ""] == (None, "효과")
    before, mark = told["effects", "매출", "estimate"]
    assert before == 5.0
    assert isinstance(mark, str)  # suppressed now


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (
            "inputs",
            {"inputs": [{"path": "panel.csv", "sha256": "b", "bytes": 12}]},
            "panel.csv 바뀜 (10 → 12바이트)",
        ),
        (
            "inputs",
            {"tables": [{"source": "survey", "file": "panel.csv", "sheet": "", "rows": 101}]},
            "100 → 101행",
        ),
        (
            "plan",
            {"plan": {"content": {"id": "nic", "inference": {"seed": 7}, "horizon": 3}}},
            "horizon: 2 → 3",
        ),
        ("code", {"code": {"lock": "l", "parts": {"study": "9", "present": "2"}}}, "study"),
        ("environment", {"versions": {"numpy": "2.5.0"}}, "numpy 2.4.6 → 2.5.0"),
        ("frozen", {"frozen": {"date": "2026-11-23"}}, "(없음) → 2026-11-23"),
        ("notebook", {}, "effect.ipynb"),
    ],
)
def test_the_cause_is_named(tmp_path: Path, name: str, change: dict[str, Any], told: str) -> None:
    one, two = runs(tmp_path, [table()], [table((("고용", 13.0, (2.0, 22.0)), *ROWS[1:]))])
    two.record |= change
    two.made_of(**{name: "1"})
    found = compare(one.folder, two.folder)
    (cause,) = found.ingredients
    assert (cause.name, cause.pages) == (name, ("page",))
    assert told in "; ".join(cause.details)
    assert found.unexplained == ()


def test_a_seed_is_a_cause_of_its_own(tmp_path: Path) -> None:
    one, two = runs(tmp_path, [table()], [table()])
    two.record["plan"] = {"content": {"id": "nic", "inference": {"seed": 8}, "horizon": 2}}
    two.made_of(plan="1")
    assert [i.word for i in compare(one.folder, two.folder).ingredients] == ["씨앗"]
    two.record |= {"plan": one.record["plan"], "seed": 2}
    two.made_of(plan="0", inputs="1")
    found = compare(one.folder, two.folder).ingredients
    assert [(i.word, i.details[:1]) for i in found if i.name == "seed"] == [("씨앗", ("1 → 2",))]


@pytest.mark.parametrize(("name", "explained"), [("template", False), ("lang", False), ("code", True)])
def test_only_what_moves_numbers_explains_them(tmp_path: Path, name: str, explained: bool) -> None:
    one, two = runs(tmp_path, [table()], [table((("고용", 13.0, (2.0, 22.0)), *ROWS[1:]))])
    two.made_of(**{name: "1"})
    assert (compare(one.folder, two.folder).unexplained == ()) is explained


def test_two_languages_are_compared_by_their_numbers(tmp_path: Path) -> None:
    english = (("Jobs", 12.0, (2.0, 22.0)), ("Sales", 5.5, (-1.0, 11.0)), ("Survival", 0.5, None))
    one, two = runs(tmp_path, [headline(), table()], [headline("12 jobs", "x"), table(english, lang="en")])
    two.record["lang"] = "en"
    two.made_of(lang="1")
    (found,) = compare(one.folder, two.folder).movements
    assert (found.row, found.before, found.after) == ("2", 5.0, 5.5)


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    one = Run(tmp_path / "one", page=[table()])
    (tmp_path / "none").mkdir()
    with pytest.raises(FileError, match=r"run.json.*evalkit report"):
        compare(one.folder, tmp_path / "none")
    (one.folder / "results" / "page.json").write_text("{")
    with pytest.raises(FileError, match=r"page.json"):
        compare(one.folder, one.folder)


def _data(run: Run) -> None:
    run.record["inputs"][0]["sha256"] = "b"
    run.made_of(inputs="1")


def _code(run: Run) -> None:
    run.record["code"]["parts"]["study"] = "9"
    run.made_of(code="1")


def _plan(run: Run) -> None:
    run.record["plan"]["content"]["horizon"] = 3
    run.made_of(plan="1")


def _seed(run: Run) -> None:
    run.record["plan"]["content"]["inference"]["seed"] = 8
    run.made_of(plan="2")


def _world(run: Run) -> None:
    """A simulated world drawn from another seed: other data, which follow from it."""
    run.record["seed"] = 2
    run.record["plan"]["content"]["data"] = {"simulate": {"seed": 2}}
    _data(run)
    run.made_of(plan="3")


def _page_seed(run: Run) -> None:
    """A seed among the parameters of a page."""
    run.record["jobs"]["page"]["parameters"] = {"seed": "2"}
    run.made_of(parameters="1")


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((_data,), ("입력 자료",)),
        ((_code,), ("코드",)),
        ((_plan,), ("계획",)),
        ((_seed,), ("씨앗",)),
        ((_page_seed,), ("씨앗",)),
        ((_plan, _seed), ("계획", "씨앗")),
        ((_data, _code), ("입력 자료", "코드")),
        ((_data, _code, _plan, _seed), ("입력 자료", "계획", "코드", "씨앗")),
    ],
)
def test_what_can_have_moved_a_number(
    tmp_path: Path, changes: tuple[Any, ...], words: tuple[str, ...], simulated: bool
) -> None:
    one, two = runs(tmp_path, [headline()], [headline("13명")])
    for run in (one, two):
        run.record["simulated"] = simulated
        run.save()
    for change in changes:
        change(two)
    found = compare(one.folder, two.folder)
    follows = simulated and words[0] == "입력 자료" and len(words) > 1  # from plan, code or seed
    (cause,) = found.causes
    assert (cause.words, cause.pages, cause.movements) == (words[follows:], ("page",), 1)
    told = {item.word for item in found.ingredients}
    assert set(words) <= told | {"매개변수", "씨앗"}
    assert ("계획" in told) == (_plan in changes)
    assert found.unexplained == ()


def test_a_simulated_world_of_another_seed_is_one_cause(tmp_path: Path) -> None:
    one, two = runs(tmp_path, [headline()], [headline("13명")])
    for run in (one, two):
        run.record["simulated"] = True
        run.record["plan"]["content"]["data"] = {"simulate": {"seed": 1}}
        run.save()
    _world(two)
    (cause,) = compare(one.folder, two.folder).causes
    assert cause.words == ("씨앗",)


def test_each_page_has_causes_of_its_own(tmp_path: Path) -> None:
    """A notebook that changed explains its own page; the other one is not reproducible."""
    one = Run(tmp_path / "before", page=[headline()], other=[headline()], quiet=[headline()])
    two = Run(tmp_path / "after", page=[headline("13명")], other=[headline("14명")], quiet=[headline()])
    two.record["jobs"]["page"]["made_of"]["notebook"] = "1"
    two.save()
    found = compare(one.folder, two.folder)
    assert {(c.words, c.pages) for c in found.causes} == {(("공책",), ("page",)), ((), ("other",))}
    assert found.unexplained == ("other",)


def test_results_that_were_edited_have_no_cause(tmp_path: Path) -> None:
    """An ingredient that changed as well must not explain a number that somebody wrote."""
    import hashlib

    one, two = runs(tmp_path, [headline()], [headline("13명")])
    for run in (one, two):
        path = run.folder / "results" / "page.json"
        run.record["jobs"]["page"]["files"] = {
            "results/page.json": hashlib.sha256(path.read_bytes()).hexdigest()
        }
        run.save()
    _code(two)
    assert compare(one.folder, two.folder).altered == ()
    path = one.folder / "results" / "page.json"
    path.write_text(path.read_text(encoding="utf-8").replace("12명", "11명"), encoding="utf-8")
    assert compare(one.folder, two.folder).altered == ("앞 page",)
    path.unlink()
    assert compare(one.folder, two.folder).altered == ("앞 page",)
