"""Freezing a plan: hash, date, what changed since, and that it cannot be rewritten unseen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from evalkit.errors import FileError, UsageError
from evalkit.report.frozen import deviations, freeze, frozen_path, read_frozen
from evalkit.study.plan import Plan, load_plan

PLANS = Path(__file__).resolve().parents[2] / "plans"


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))


def written(folder: Path, raw: dict) -> tuple[Path, Plan]:
    path = folder / "p.yml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path, load_plan(path)


def test_a_frozen_plan_and_what_changed(tmp_path: Path, raw: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")  # 2026-01-01T00:00:00Z
    path, plan = written(tmp_path, raw)
    assert read_frozen(path, plan) is None
    freeze(path, plan)
    frozen = read_frozen(path, plan)
    assert frozen is not None
    assert (frozen.date, frozen.sha256) == ("2026-01-01", plan.sha256())
    assert deviations(frozen, plan) == ()
    raw["design"]["anticipation"] = 1
    raw["inference"]["cluster"] = "sigungu"
    _, changed = written(tmp_path, raw)
    found = {item.key: (item.before, item.after) for item in deviations(frozen, changed)}
    assert found == {"design.anticipation": ("0", "1"), "inference.cluster": ('"sido"', '"sigungu"')}


def test_an_added_report_is_a_deviation(tmp_path: Path, raw: dict) -> None:
    path, plan = written(tmp_path, raw)
    freeze(path, plan)
    raw["reports"].append({"notebook": "extra.ipynb"})
    _, changed = written(tmp_path, raw)
    frozen = read_frozen(path, plan)
    assert frozen is not None
    new = {item.key: item for item in deviations(frozen, changed)}
    key = f"reports[{len(raw['reports'])}].notebook"
    assert new[key].before == "(없음)"
    assert new[key].after == '"extra.ipynb"'


def test_a_plan_frozen_before_a_key_was_known_has_not_changed(tmp_path: Path, raw: dict) -> None:
    """The kit learns new choices; a frozen plan that could not name them deviates only where the plan now does."""
    for key in ("power", "robustness"):
        raw.pop(key, None)
    path, plan = written(tmp_path, raw)
    freeze(path, plan)
    stored = frozen_path(path, plan)
    entry = json.loads(stored.read_text(encoding="utf-8"))
    for key in ("power", "robustness"):
        del entry["plan"][key]
    content = json.dumps(entry["plan"], ensure_ascii=False, sort_keys=True)
    entry["sha256"] = hashlib.sha256(content.encode()).hexdigest()
    stored.write_text(json.dumps(entry, ensure_ascii=False), encoding="utf-8")
    old = read_frozen(path, plan)
    assert old is not None
    assert old.sha256 != plan.sha256()
    assert deviations(old, plan) == ()
    assert freeze(path, plan) == stored  # nothing to freeze again
    _, changed = written(tmp_path, raw | {"robustness": {"anticipation": [0, 1]}})
    found = [(item.key, item.before, item.after) for item in deviations(old, changed)]
    assert found == [("robustness.anticipation", "[0, 1, 2]", "[0, 1]")]


def test_freezing_again_must_be_asked_for_and_leaves_a_trace(tmp_path: Path, raw: dict) -> None:
    path, plan = written(tmp_path, raw)
    freeze(path, plan)
    first = frozen_path(path, plan).read_bytes()
    freeze(path, plan)  # the same content: nothing to do
    assert frozen_path(path, plan).read_bytes() == first
    raw["horizon"] = 3
    _, changed = written(tmp_path, raw)
    with pytest.raises(UsageError, match="--again"):
        freeze(path, changed)
    assert frozen_path(path, plan).read_bytes() == first
    freeze(path, changed, again=True)
    frozen = read_frozen(path, changed)
    assert frozen is not None
    assert [entry["sha256"] for entry in frozen.history] == [plan.sha256()]


def test_a_frozen_plan_altered_by_hand_is_noticed(tmp_path: Path, raw: dict) -> None:
    path, plan = written(tmp_path, raw)
    target = freeze(path, plan)
    content = json.loads(target.read_text(encoding="utf-8"))
    content["plan"]["horizon"] = 9
    target.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(FileError, match="해시와 다름"):
        read_frozen(path, plan)
    target.write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match="읽을 수 없음"):
        read_frozen(path, plan)
