"""Where a plan's data lie: sources, the simulated world in their place, rules of counting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from evalkit.errors import nearest
from evalkit.study.plan_base import Slug, Strict
from evalkit.study.plan_counting import CountingPlan


class Source(Strict):
    """One kind of file and where it lies."""

    table: str = Field(description="선언된 표의 이름 (evalkit.ingest 의 TableSpec)")
    files: str = Field(description="자료 폴더 아래의 파일 이름 무늬(glob)")
    required: bool = True
    options: Mapping[str, Any] = Field(default_factory=dict, description="표를 읽는 방법에만 쓰는 값")


WORLDS = ("nic", "swc2", "hubs")


class Simulation(Strict):
    """The simulated world used while the evaluator has no files yet."""

    world: Slug = "nic"
    seed: int = Field(20180301, ge=0)
    firms: int = Field(4000, ge=200, le=200_000)

    @field_validator("world")
    @classmethod
    def _known(cls, world: str) -> str:
        if world not in WORLDS:
            raise ValueError(f"모르는 모의 세계 {world!r} ({nearest(world, WORLDS)})")
        return world


class DataPlan(Strict):
    folder: str = Field("../data/raw", description="계획 파일에서 본 상대 경로 또는 절대 경로")
    simulate: Simulation | None = None
    sources: dict[Slug, Source] = Field(min_length=1)
    counting: CountingPlan = Field(CountingPlan(), description="사업 실적을 세는 규칙")
