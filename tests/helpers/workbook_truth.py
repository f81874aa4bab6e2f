"""One truth of three programme tables, as plain values, and the frames that any faithful reading of them must give.

Nothing of evalkit's readers is used: hashes come from hmac, region codes stand beside the addresses, money is in won.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

KEY = b"key of the layouts"
YEARS = (2018, 2019, 2020)
# addresses of 2018–2020 with the 시·군·구 code of 2018 (행안부)
PLACES = (
    ("부산광역시 해운대구 센텀중앙로 97", "26350", "부산"),
    ("경상남도 창원시 성산구 중앙대로 151", "48123", "경남"),
    ("강원도 원주시 입춘로 10", "42130", "강원"),
    ("전북 전주시 덕진구 기지로 180", "45113", "전북"),
    ("충청북도 청주시 흥덕구 오송읍 오송생명로 200", "43113", "충북"),
    ("대구광역시 동구 첨단로 39", "27140", "대구"),
)
ORIGINS = (("서울특별시 강남구 테헤란로 1", "11680"), ("경기도 성남시 분당구 판교로 10", "41135"), ("인천광역시 연수구 송도과학로 5", "28185"))  # fmt: skip


def number_with_check_digit(head: str) -> str:
    """A 사업자등록번호 of nine digits and its check digit (weights 1,3,7,1,3,7,1,3,5, tens of 5 × the ninth)."""
    total = (
        sum(int(d) * w for d, w in zip(head, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True))
        + int(head[8]) * 5 // 10
    )
    return head + str((10 - total % 10) % 10)


def hashed(number: str) -> str:
    """What stands for a number in a frame."""
    return hmac.new(KEY, number.encode(), hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True)
class Truth:
    """Rows as plain values: projects (one per firm and project), outcomes and firm years of them, attracted firms."""

    projects: list[dict[str, Any]]
    attracted: list[dict[str, Any]]


def truth(seed: int = 11, projects: int = 14) -> Truth:
    """Draw the truth; money is in whole 천원 (kept in won), so that any unit can say it."""
    rng = np.random.default_rng([seed, 77])
    rows: list[dict[str, Any]] = []
    for p in range(projects):
        address, code, sido = PLACES[p % len(PLACES)]
        for member in range(1 + p % 3):
            firm = 3 * p + member
            regular, temporary = (int(x) for x in rng.integers(1, 30, 2))
            home, abroad = (int(x) * 1000 for x in rng.integers(1000, 900_000, 2))
            gone = firm % 11 == 7
            rows.append(
                {
                    "project_id": f"P{2018 + p % 3}-NIC-{p:03d}",
                    "project_name": f"차세대 소재 실증 {p + 1}차",
                    "track": "rnd" if p % 2 else "non_rnd",
                    "programme_line": ("중추기술", "문제해결", "글로벌확장")[p % 3],
                    "sido": sido,
                    "role": "lead" if member == 0 else "partner",
                    "firm_name": f"{'㈜' if firm % 2 else '주식회사 '}한빛정밀{firm}",
                    "number": number_with_check_digit(f"{101 + firm}81{3000 + 37 * firm:04d}"),
                    "industry": ("26110", "20411", "10749", "62010")[firm % 4],
                    "address": address,
                    "region": code,
                    "start": dt.date(2018 + p % 3, 1 + p % 12, 1 + p % 27),
                    "end": dt.date(2020 + p % 2, 12, 31),
                    "national_grant_krw": int(rng.integers(100, 3_000_000)) * 1000,
                    "local_grant_krw": int(rng.integers(100, 900_000)) * 1000,
                    "private_krw": 0 if p % 5 == 2 else int(rng.integers(10, 90_000)) * 1000,
                    "new_regular_jobs": regular,
                    "temporary": temporary,
                    "new_jobs": regular + temporary,
                    "new_youth_jobs": int(rng.integers(0, 3)),
                    "home": home,
                    "abroad": abroad,
                    "sold": home + abroad,
                    "patents": int(rng.integers(0, 4)),
                    "papers": int(rng.integers(0, 2)),
                    "sales": [None if gone and y == 2020 else int(rng.integers(100_000, 90_000_000)) * 1000 for y in YEARS],
                    "staff": [None if gone and y == 2020 else int(rng.integers(5, 300)) for y in YEARS],
                }
            )  # fmt: skip
    attracted = []
    for a in range(17):
        place, origin = PLACES[(a + 2) % len(PLACES)], ORIGINS[a % len(ORIGINS)]
        attracted.append(
            {
                "sido": place[2],
                "firm_name": f"미래바이오{a}(주)",
                "number": number_with_check_digit(f"{301 + a}86{5000 + 13 * a:04d}"),
                "kind": ("headquarters", "branch", "laboratory", "plant", "mou")[a % 5],
                "from_address": origin[0],
                "from_region": origin[1],
                "to_address": place[0],
                "to_region": place[1],
                "date": dt.date(2018 + a % 3, 1 + a % 12, 1 + (5 * a) % 28),
                "investment": int(rng.integers(1, 500)),
            }
        )
    return Truth(rows, attracted)


def expected(told: Truth) -> dict[str, pd.DataFrame]:
    """The frames of the declared tables, only the columns that every layout holds."""
    projects = pd.DataFrame(told.projects)
    ids = projects["number"].map(hashed)
    plain = [
        "project_id",
        "project_name",
        "track",
        "programme_line",
        "sido",
        "firm_name",
        "role",
        "industry",
        "region",
    ]
    money = ["national_grant_krw", "local_grant_krw", "private_krw"]
    first = projects[[*plain, *money]].assign(
        firm_id=ids,
        agreement_start=pd.to_datetime(projects["start"]),
        agreement_end=pd.to_datetime(projects["end"]),
    )
    counts = ["new_jobs", "new_regular_jobs", "new_youth_jobs", "patents", "papers"]
    second = projects[["project_id", "firm_name", *counts]].assign(
        firm_id=ids, commercial_sales_million_krw=projects["sold"] / 1e6
    )
    yearly = [
        {
            "project_id": row["project_id"],
            "firm_id": hashed(row["number"]),
            "year": year,
            "total_sales_million_krw": np.nan if sales is None else sales / 1e6,
            "employees": np.nan if staff is None else staff,
        }
        for row in told.projects
        for year, sales, staff in zip(YEARS, row["sales"], row["staff"], strict=True)
    ]
    attracted = pd.DataFrame(told.attracted)
    last = attracted[["sido", "firm_name", "kind", "from_region", "to_region"]].assign(
        firm_id=attracted["number"].map(hashed), date=pd.to_datetime(attracted["date"])
    )
    return {
        "performance_projects": first,
        "performance_outcomes": second,
        "performance_firm_years": pd.DataFrame(yearly),
        "performance_attracted": last,
    }
