"""What every part of a plan is made of: strict models, phrases in two languages, years and names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PROVINCES = (
    "서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기",
    "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주",
)  # fmt: skip
"""Short names of the 17 provinces as plans write them, in the order of the official codes."""

Year = Annotated[int, Field(ge=1990, le=2100)]
Span = tuple[Year, Year]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]*$", max_length=60)]
Lang = Literal["ko", "en"]


class Strict(BaseModel):
    """A part of a plan: no key beyond those declared, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Text(Strict):
    """One phrase in both languages."""

    ko: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def __getitem__(self, lang: str) -> str:
        return self.en if lang == "en" else self.ko
