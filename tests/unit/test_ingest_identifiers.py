"""Check digits by hand (DOMAIN 2.4: 116-82-00276 and 124-81-00998), hashing, masking."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest

from evalkit.errors import ValueProblem
from evalkit.ingest import identifiers as ids


@pytest.mark.parametrize("number", ["116-82-00276", "124-81-00998", "1248100998", 1248100998, 1248100998.0])
def test_known_business_numbers(number):
    assert ids.is_business_number(number)


def test_check_digit_by_hand():
    # 1·1+2·3+4·7+8·1+1·3+0·7+0·1+9·3+9·5 = 118, + ⌊45/10⌋ = 122, 10 − 2 = 8
    assert ids.business_check_digit("124810099") == 8
    # 1301110006246: 1+6+0+2+1+2+0+0+0+12+2+8 = 34 → 10 − 4 = 6
    assert ids.corporate_check_digit("130111000624") == 6
    assert ids.is_corporate_number("130111-0006246")
    assert not ids.is_corporate_number("130111-0006247")


def test_every_single_digit_error_is_seen_or_counted():
    """Weights 1, 3, 7 are prime to ten: a changed digit among the first eight always changes the check digit."""
    base = "1248100998"
    for place in range(8):
        for digit in "0123456789":
            if digit != base[place]:
                assert not ids.is_business_number(base[:place] + digit + base[place + 1 :])


def test_validity_is_vectorised():
    got = ids.valid_business_numbers(["1248100998", "1248100997", "abc", "", "0000000000", "124810099"])
    assert got.tolist() == [True, False, False, False, False, False]
    assert ids.valid_business_numbers([]).shape == (0,)
    assert ids.valid_business_numbers(np.array(["x"])).tolist() == [False]


def test_numbers_lose_their_dress():
    assert ids.normalise_number("124-81-00998") == "1248100998"
    assert ids.normalise_number(" 124 81 00998.0") == "1248100998"
    assert ids.normalise_number(123456789.0, 10) == "0123456789"
    assert ids.normalise_number("미등록") == "미등록"


def test_hash_is_keyed_hmac():
    expected = hmac.new(b"key", b"1248100998", hashlib.sha256).hexdigest()[:16]
    assert ids.hash_identifier("1248100998", b"key") == expected
    assert ids.hash_identifier("1248100998", b"other") != expected
    with pytest.raises(ValueProblem, match="열쇠"):
        ids.hash_identifier("1248100998", b"")


@pytest.mark.parametrize(
    ("number", "shown"),
    [("124-81-00998", "124-**-*****"), ("1301110006246", "130***-*******"), ("홍길동전자", "홍길동**")],
)
def test_mask(number, shown):
    assert ids.mask(number) == shown


def test_wrong_length_is_masked_in_the_message():
    with pytest.raises(ValueProblem) as error:
        ids.business_check_digit("1234")
    assert "1234" not in str(error.value)
    assert "9자리" in str(error.value)
