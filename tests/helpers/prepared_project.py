"""A project tree with the plan of the clusters, made small, and its own raw files."""

from __future__ import annotations

from pathlib import Path

import yaml

from evalkit.study.plan import load_plan
from evalkit.study.prepare import Prepared, prepare

PLANS = Path(__file__).resolve().parents[2] / "plans"


class Project:
    """A project tree of its own with the plan of the clusters, made small."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "plans" / "nic.yml"
        (root / "plans").mkdir(exist_ok=True)
        (root / "notebooks").mkdir(exist_ok=True)
        self.raw = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
        self.raw["id"] = "nic"
        self.raw["data"]["simulate"] = {"world": "nic", "seed": 2, "firms": 200}
        self.save()

    def save(self) -> None:
        self.path.write_text(yaml.safe_dump(self.raw, allow_unicode=True), encoding="utf-8")

    def prepare(self, data: Path | None = None, *, force: bool = False) -> Prepared:
        return prepare(self.path, load_plan(self.path), data, force=force)

    @property
    def processed(self) -> Path:
        return self.root / "data" / "processed"

    def state(self) -> dict[str, tuple[int, bytes]]:
        found = sorted(p for p in self.processed.rglob("*") if p.is_file())
        return {str(p.relative_to(self.processed)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}
