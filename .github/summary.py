"""Headline numbers of rendered reports as Markdown, for the summary page of a workflow run.

    python .github/summary.py reports >> "$GITHUB_STEP_SUMMARY"

Standard library only: it must also speak when the installation failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STATES = {"ok": "완료", "failed": "실행 실패", "refused": "공개 거부"}


def cell(text: object) -> str:
    """Text in a Markdown table: no column, line or HTML of its own."""
    plain = " ".join(str(text).split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def summary(name: str, run: Mapping[str, Any]) -> list[str]:
    """Lines for one run.json."""
    lines = [f"### {name}", ""]
    if run.get("simulated"):
        lines += ["> 모의 자료로 만든 보고서이며 인용할 수 없음", ""]
    lines += ["| 보고서 | 상태 | 핵심 결과 | 초 |", "|---|---|---|---:|"]
    timing = run.get("timing", {})
    for job, record in sorted(run.get("jobs", {}).items()):
        seconds = timing.get("jobs", {}).get(job, {}).get("seconds", 0)
        state = STATES.get(record.get("state", ""), record.get("state", ""))
        result = record.get("headline") or record.get("sentence") or ""
        title = " · ".join(part for part in (record.get("title") or job, record.get("subtitle")) if part)
        lines.append(f"| {cell(title)} | {cell(state)} | {cell(result)} | {seconds:.1f} |")
    return [*lines, "", f"모두 {timing.get('seconds', 0):.0f}초", ""]


def main(arguments: Sequence[str]) -> int:
    """Print the summary of every run below a folder; 0 also where there is none, which the text then says."""
    folder = Path(arguments[0] if arguments else "reports")
    lines = []
    for path in sorted(folder.rglob("run.json")):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            lines += [f"### {path.parent.name}", "", "run.json 을 읽을 수 없음", ""]
            continue
        lines += summary(path.parent.relative_to(folder).as_posix(), run)
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print("\n".join(lines or ["보고서가 만들어지지 않음"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
