"""Progress: plain lines without a terminal, a bar with notebook and cell on one; and the doctor's questions."""

from __future__ import annotations

import io

import pytest

from evalkit.report import doctor
from evalkit.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO) -> str:
    with Progress(1, stream) as progress:
        progress.preparing("읽음")
        progress.start("effect", "처음")
        progress.cell("effect", 2, 9, "결론")
        progress.finish("effect", "완료")
    return stream.getvalue()


def test_plain_lines_without_a_terminal() -> None:
    lines = run(io.StringIO()).splitlines()
    assert lines[:2] == ["자료 준비: 읽음", "시작  effect  (처음)"]
    assert lines[2].startswith("[1/1] effect  완료")
    assert len(lines) == 3


def test_the_bar_names_notebook_and_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    shown = run(Terminal())
    assert "effect 3/9 · 결론" in shown
    assert "\r" in shown
    assert "[1/1] effect  완료" in shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_doctor_finds_this_machine_well() -> None:
    findings = doctor.examine()
    assert [item.what for item in findings] == ["파이썬", "꾸러미", "글꼴", "쓰기", "계산 프로세스"]
    assert all(item.good for item in findings), findings


def test_a_question_that_breaks_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_fonts", lambda: 1 / 0)
    bad = [item for item in doctor.examine() if not item.good]
    assert [item.what for item in bad] == ["글꼴"]
    assert "ZeroDivisionError" in bad[0].words
