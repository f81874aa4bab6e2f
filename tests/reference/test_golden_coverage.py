"""No file of reference numbers falls through: each is read by a test, or stands here with the reason why not."""

from __future__ import annotations

from pathlib import Path

from shared_files import GOLDEN, needs_golden

HERE = Path(__file__).resolve().parent
NOT_A_METHOD_OF_THE_KIT = {
    "fect_gsynth_turnout": "matrix completion and interactive effects: most Korean series are too short (T_pre >= 8)",
    "staggered_mpdta": "efficient only where the timing is as good as random, which no programme of ours is",
}


@needs_golden
def test_every_file_of_reference_numbers_is_used_or_has_a_reason() -> None:
    others = [p for kind in ("test_*.py", "*.json") for p in HERE.glob(kind) if p != Path(__file__).resolve()]
    told = "\n".join(p.read_text(encoding="utf-8") for p in others)
    files = {p.stem for p in (GOLDEN / "open").glob("*.json")}
    left = {name for name in files - set(NOT_A_METHOD_OF_THE_KIT) if name not in told}
    assert left == set()
    assert set(NOT_A_METHOD_OF_THE_KIT) <= files
