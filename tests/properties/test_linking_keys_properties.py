"""The root of a name does not depend on how the name is written, nor on which of its places is meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalkit.ingest.linking.keys import PLACE_KINDS, split_place
from evalkit.ingest.regions import municipalities

# syllables that form no legal form, place or region, so that the root of an invented name is the name itself
STEMS = st.text(alphabet="뷰쿠퓨츄뇨켜쇼벼", min_size=2, max_size=8)
FORMS = ("(주){}", "{}(주)", "㈜{}", "주식회사 {}", "{} 주식회사", "유한회사 {}", "{}")
WORDS = ("본사", "지점", "지사", "영업소", "공장", "제2공장", "기술연구소", "부설연구소", "R&D센터", "연구소")
REGIONS = tuple(name for name in municipalities(2018)["sigungu"].unique() if len(name) >= 3)


@given(
    STEMS,
    st.sampled_from(FORMS),
    st.sampled_from(WORDS),
    st.sampled_from(REGIONS),
    st.booleans(),
    st.booleans(),
)
def test_form_region_and_place_are_taken_away(
    stem: str, form: str, word: str, region: str, short: bool, with_region: bool
) -> None:
    place = (region[:-1] if short else region) if with_region else ""
    root, kind = split_place(f"{form.format(stem)} {place}{word}")
    assert root == stem
    assert kind in PLACE_KINDS
    assert kind != "unknown"


@given(st.data(), STEMS, st.sampled_from(("", "공장", "대전지점", "기술연구소", "제2공장")))
def test_blanks_do_not_matter_to_the_root(data: st.DataObject, stem: str, tail: str) -> None:
    name = stem + tail
    cuts = data.draw(st.sets(st.integers(1, max(1, len(name) - 1))))
    spaced = "".join((" " if i in cuts else "") + letter for i, letter in enumerate(name))
    assert split_place(spaced)[0] == split_place(name)[0]


@given(st.text(max_size=40))
def test_any_text_has_a_root_without_blanks_and_marks(text: str) -> None:
    root, kind = split_place(text)
    assert all(letter.isalnum() for letter in root)
    assert kind in PLACE_KINDS
