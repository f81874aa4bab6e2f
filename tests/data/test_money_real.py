"""Real indices: two sources of one CPI agree, the GDP deflator and the PPI are read, and a rate is not."""

from __future__ import annotations

import numpy as np
import pytest
from shared_files import REAL, needs_real

from evalkit.errors import RefusalError
from evalkit.ingest.money import chain, deflate, read_price_index

pytestmark = needs_real


def test_the_national_indices():
    path = REAL / "kr_deflators.csv"
    cpi, other = read_price_index(path, "cpi_2020_wb"), read_price_index(path, "cpi_2020_kostat_mean")
    assert cpi.base_year == other.base_year == 2020
    shared = sorted(other.level)
    assert np.abs(cpi.at(shared) - other.at(shared)).max() < 0.0005
    ppi = read_price_index(path, "ppi_2015_bok_mean")
    assert (ppi.base_year, min(ppi.level), max(ppi.level)) == (2015, 2012, 2021)
    gdp = read_price_index(path, "gdp_deflator_2020_wb")
    # 1,203 억 of 2018–20 at a third a year, in prices of 2020, by hand from the table
    real = deflate([401.0] * 3, [2018, 2019, 2020], gdp, 2020)
    assert real.sum() == pytest.approx(401 * (100 / 99.294 + 100 / 98.46 + 1))
    with pytest.raises(RefusalError, match="krw_per_usd_mean"):
        read_price_index(path, "krw_per_usd_mean", base_year=2020)
    rebased = ppi.rebased(2020)
    assert dict(chain(ppi, rebased).level) == pytest.approx(dict(rebased.level))


def test_provincial_prices_and_a_rate_that_is_no_index():
    whole = read_price_index(REAL / "sido_cpi_annual.csv", "cpi_2020", group=("sido", "소계"))
    national = read_price_index(REAL / "kr_deflators.csv", "cpi_2020_wb")
    shared = sorted(set(whole.level) & set(national.level))
    assert np.abs(whole.at(shared) - national.at(shared)).max() < 0.01
    assert min(whole.level) == 1965
    busan = read_price_index(REAL / "sido_cpi_annual.csv", "cpi_2020", group=("sido", "부산광역시"))
    assert busan.base_year == 2020
    with pytest.raises(RefusalError, match="2020년 값이 60"):
        read_price_index(
            REAL / "sido_emp_rate_annual.csv", "emp_rate_15plus", group=("sido", "계"), base_year=2020
        )
