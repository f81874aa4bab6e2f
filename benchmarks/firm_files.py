"""A simulated monthly world is drawn and written, and its files are read; the yardstick of reading is a bare pandas.read_csv.

    OPENBLAS_NUM_THREADS=1 python benchmarks/firm_files.py [--firms 3000] [--months 36]

What comes back is first held against the truth that was written: members of every published month, to the person.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from _measuring import peak_of, timed

from evalkit.ingest.sources import employment_insurance, national_pension
from evalkit.simulate.establishments import establishment_world, write_establishments

KEY = b"benchmark"


def bare(files: list[Path]) -> int:
    """Rows of the files by pandas alone: no check, no code, no key."""
    rows = 0
    for path in files:
        for encoding in ("utf-8-sig", "cp949"):
            try:
                rows += len(pd.read_csv(path, encoding=encoding))
            except UnicodeDecodeError:
                continue
            break
    return rows


def months(files: list[Path]) -> pd.Series:
    """Members a month by the reader, one file at a time."""
    totals = {}
    for table in national_pension.read_months(files, key=KEY, columns=["month", "members"]):
        totals[table.frame["month"].iloc[0]] = int(table.frame["members"].sum())
    return pd.Series(totals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firms", type=int, default=3000)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()

    def draw() -> object:
        return establishment_world(1, asked.firms, "2021-01", asked.months)

    world = establishment_world(1, asked.firms, "2021-01", asked.months)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def write() -> object:
            return write_establishments(world, root / "raw", root / "truth")

        drawn, written = timed([draw, write], asked.repeat)
        pension = sorted((root / "raw" / "국민연금").iterdir())
        insured = sorted((root / "raw" / "고용보험").iterdir())
        true = world.truth.monthly.query("published").groupby("month")["members"].sum()
        repeated = true.index[4::6]  # every sixth file has rows twice, which the reader takes out
        if not months(pension).equals(true.astype("int64")):
            raise SystemExit(f"국민연금 가입자 수가 참값과 다름 (되풀이된 행이 든 달: {len(repeated)})")
        read, plain, year_ends = timed(
            [
                lambda: months(pension),
                lambda: bare(pension),
                lambda: employment_insurance.read_all(insured, key=KEY, numbers="optional"),
            ],
            asked.repeat,
        )
        rows = int((world.truth.links["source"] == "national_pension").sum())
        size = sum(path.stat().st_size for path in pension) / 2**20
        print(f"기업 {asked.firms:,}, {asked.months}개월, 사업장 {len(world.truth.establishments):,}")
        print(f"{'세계를 그림':<28} {drawn:>8.2f} s  {peak_of(draw):>6.0f} MB")
        print(f"{'파일과 참값을 씀':<26} {written:>8.2f} s  {peak_of(write):>6.0f} MB")
        print(f"{'국민연금 읽기':<27} {read:>8.2f} s  {peak_of(lambda: months(pension)):>6.0f} MB  ({rows:,}행, {size:.0f} MB, {rows / read:,.0f}행/초)")  # fmt: skip
        print(f"{'같은 파일 pandas.read_csv':<25} {plain:>8.2f} s")
        print(f"{'고용보험 읽기':<27} {year_ends:>8.2f} s")


if __name__ == "__main__":
    main()
