"""The summary page of a workflow run says what the reports say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / ".github" / "summary.py"


def run(folder: Path) -> str:
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def write(folder: Path, record: object) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


def test_headlines_states_and_the_simulated_world_are_told(tmp_path: Path) -> None:
    jobs = {
        "04_summary": {
            "state": "ok",
            "title": "종합 요약",
            "headline": "고용은 3.1명 늘어난 것으로 추정된다",
            "parameters": {},
        },
        "02_effect": {
            "state": "failed",
            "title": "효과 추정",
            "subtitle": "고용 · 1단계",
            "headline": "",
            "sentence": "멈춤",
            "parameters": {},
        },
    }
    write(
        tmp_path / "nic",
        {
            "simulated": True,
            "jobs": jobs,
            "timing": {
                "seconds": 12.4,
                "jobs": {"04_summary": {"seconds": 3.21}, "02_effect": {"seconds": 1.0}},
            },
        },
    )
    shown = run(tmp_path)
    assert "### nic" in shown
    assert "모의 자료" in shown
    assert "| 종합 요약 | 완료 | 고용은 3.1명 늘어난 것으로 추정된다 | 3.2 |" in shown
    assert "| 효과 추정 · 고용 · 1단계 | 실행 실패 | 멈춤 | 1.0 |" in shown
    assert "모두 12초" in shown


def test_text_from_data_cannot_break_the_table_or_the_page(tmp_path: Path) -> None:
    jobs = {"x": {"state": "ok", "title": "a|b", "headline": "<script>\nalert(1)</script>", "seconds": 0}}
    write(tmp_path / "nic", {"jobs": jobs})
    shown = run(tmp_path)
    assert "a\\|b" in shown
    assert "<script" not in shown
    assert "모의 자료" not in shown


def test_a_missing_or_broken_record_is_said(tmp_path: Path) -> None:
    assert "만들어지지 않음" in run(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert "읽을 수 없음" in run(tmp_path)
