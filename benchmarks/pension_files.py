"""Twelve monthly 국민연금 files (CP949) to a panel of workplaces and region × industry cells.

    python benchmarks/pension_files.py              # 50,000 rows a month, the reader in memory beside it
    python benchmarks/pension_files.py --large      # 500,000 rows a month; aim: under 30 seconds

Files are written to a temporary folder and removed at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from national import peak_gb, stage

from evalkit.ingest.sources import national_pension
from evalkit.scale import month_label, open_engine, open_pension, pension_panel, place_cells

HEADER = (
    "자료생성년월,사업장명,사업자등록번호,사업장가입상태코드 1 등록 2 탈퇴,우편번호,사업장지번상세주소,사업장도로명상세주소,"
    "고객법정동주소코드,고객행정동주소코드,법정동주소광역시도코드,법정동주소광역시시군구코드,법정동주소광역시시군구읍면동코드,"
    "사업장형태구분코드 1 법인 2 개인,사업장업종코드,사업장업종코드명,적용일자,재등록일자,탈퇴일자,가입자수,당월고지금액,"
    "신규취득자수,상실가입자수"
)
DISTRICTS = (
    "11110",
    "11680",
    "26110",
    "27110",
    "28185",
    "29110",
    "30110",
    "31110",
    "41135",
    "43111",
    "44131",
    "48121",
)
KEY = b"benchmark"


def write_months(folder: Path, rows: int, months: int, seed: int = 1) -> list[Path]:
    """Monthly files of the same workplaces, a few of which come and go."""
    rng = np.random.default_rng(seed)
    words = ["한빛", "대성", "우진", "미래", "동아", "세종", "금강", "태백", "누리", "가온"]
    kinds = ["소재", "정밀", "기계", "식품", "화학", "전자", "산업", "물산"]
    total = int(rows * 1.03)
    district = rng.choice(DISTRICTS, total)
    name = [
        f"{words[a]}{kinds[b]}{k}(주)"
        for k, (a, b) in enumerate(zip(rng.integers(0, 10, total), rng.integers(0, 8, total), strict=True))
    ]
    number, industry = rng.integers(100_000, 899_999, total), rng.integers(100_000, 960_000, total)
    size = np.exp(rng.normal(1.5, 1.0, total)).astype(int) + 1
    before = [
        f"{n},{num},1,12816,경기도 광주시 도척면 어느리,경기도 광주시 도척면 도척윗로,{d}33025,{d}33025,{d[:2]},{d[2:]},330,1,"
        f"{i},동력식 수지 공구 제조업,2008-01-01,0001-01-01,0001-01-01,"
        for n, num, d, i in zip(name, number.tolist(), district.tolist(), industry.tolist(), strict=True)
    ]
    paths = []
    for m in range(months):
        here = np.sort(rng.permutation(total)[:rows])
        people = np.maximum(size + rng.integers(-1, 2, total), 1)
        label = month_label(2021 * 12 + m)
        lines = [
            f"{label},{before[k]}{people[k]},{people[k] * 190_000},{people[k] // 9},{people[k] // 11}"
            for k in here.tolist()
        ]
        path = folder / f"국민연금_가입사업장_{label.replace('-', '')}.csv"
        path.write_bytes(("\r\n".join([HEADER, *lines]) + "\r\n").encode("cp949"))
        paths.append(path)
    return paths


def main() -> None:
    """Write, read, remove."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 rows a month")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--memory", default="3GB")
    asked = parser.parse_args()
    asked.rows = 500_000 if asked.large else asked.rows
    folder = Path(tempfile.mkdtemp(prefix="evalkit-pension-"))
    try:
        begin = time.perf_counter()
        paths = write_months(folder, asked.rows, asked.months)
        size = sum(p.stat().st_size for p in paths) / 2**20
        print(
            f"written: {asked.months} × {asked.rows:,} rows, {size:,.0f} MB, {time.perf_counter() - begin:.1f} s"
        )
        print(f"load before: {os.getloadavg()[0]:.1f}")
        begin = time.perf_counter()
        with open_engine("duckdb", memory=asked.memory, threads=2, folder=folder) as engine:
            source = stage("read, hash, link months", lambda: open_pension(engine, paths, key=KEY))
            panel = stage(
                "panel of workplaces", lambda: pension_panel(source, varying=("members", "premium"))
            )
            cells = stage(
                "region × industry × month cells",
                lambda: place_cells(
                    source, period="month", region="region", industry="industry", values=("members",)
                ),
            )
        total = time.perf_counter() - begin
        print(f"{'total':<44} {total:8.1f} s    peak {peak_gb():.2f} GB    load {os.getloadavg()[0]:.1f}")
        print(f"panel {panel.shape[0]:,} × {panel.shape[1]}, cells {len(cells):,}")
        if asked.rows <= 100_000:
            begin = time.perf_counter()
            frames = [national_pension.read(path, key=KEY)[0].frame for path in paths]
            members = sum(float(frame["members"].sum()) for frame in frames)
            theirs = time.perf_counter() - begin
            assert members == float(cells["members_sum"].sum())
            print(f"reader in memory (same total): {theirs:.1f} s, ratio {theirs / total:.1f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
