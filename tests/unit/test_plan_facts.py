"""A plan's own fact file is an input like any other: it is hashed, and its absence stops."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evalkit.errors import FileError
from evalkit.study.inputs import fingerprint
from evalkit.study.pages.effect_numbers import inference_label
from evalkit.study.plan import load_plan

PLANS = Path(__file__).resolve().parents[2] / "plans"


def plan_with_facts(folder: Path, simulated: bool) -> Path:
    raw = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
    raw |= {
        "id": "own",
        "programme": "OURS",
        "facts": "ours.facts.yml",
        "reports": [{"notebook": "04_summary.ipynb"}],
    }
    if not simulated:
        raw["data"] = {"folder": "../data", "sources": {"panel": {"table": "t", "files": "*.csv"}}}
        (folder / "data").mkdir()
        (folder / "data" / "a.csv").write_text("a\n1\n", encoding="utf-8")
    (folder / "plans").mkdir()
    path = folder / "plans" / "own.yml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("simulated", [True, False])
def test_the_fact_file_is_hashed(tmp_path: Path, simulated: bool) -> None:
    path = plan_with_facts(tmp_path, simulated)
    plan = load_plan(path)
    facts = path.parent / "ours.facts.yml"
    with pytest.raises(FileError, match=r"사실 파일 'ours\.facts\.yml' 이\(가\) 없음"):
        fingerprint(path, plan)
    facts.write_text("a: 1\n", encoding="utf-8")
    before = fingerprint(path, plan)
    assert [file.path for file in before.files][-1] == "facts:ours.facts.yml"
    assert before.simulated is simulated
    assert fingerprint(path, plan).digest == before.digest
    facts.write_text("a: 2\n", encoding="utf-8")
    assert fingerprint(path, plan).digest != before.digest


def test_the_rule_is_named_before_there_is_an_estimate() -> None:
    """With few clusters the wider of two leads; before the outcomes are read it is not known which."""
    said = inference_label("wider", "ko")
    assert said == inference_label("max(CV3,CR2)", "ko")
    assert inference_label("CV3", "ko") in said
