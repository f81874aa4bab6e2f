"""The Korean sentences of the audit, one table; the pages have their English under ``phrase.audit.<key>``."""

from __future__ import annotations

TITLES: dict[str, str] = {
    "columns_read": "열의 쓰임",
    "too_large": "일부만 점검함",
    "cut_row": "끊긴 마지막 행",
    "unreadable": "수가 아닌 글",
    "duplicates": "같은 단위와 기간이 두 번",
    "counted_twice": "전체와 부분을 함께 셈",
    "total_row": "합계 행",
    "scaled_period": "한 기간의 배수 오류",
    "unit_change": "도중에 바뀐 단위",
    "all_even": "모두 짝수인 기간",
    "swapped": "값이 서로 바뀐 두 단위",
    "shifted": "밀린 행",
    "name_contradicts_code": "코드와 다른 이름",
    "renamed": "바뀐 이름",
    "rate_as_index": "지수가 아닌 변화율",
    "rate_as_level": "수준이 아닌 변화율",
    "level_as_rate": "변화율이 아닌 수준",
    "index_base": "지수의 기준 시점",
    "break": "정의가 바뀐 기간",
    "sums": "부분의 합과 다른 합계",
    "twins": "거의 같은 두 열",
    "stale": "지난 기간 값의 복사",
    "outlier": "튀는 값",
    "negative": "음수",
    "share_range": "범위를 벗어난 비율",
    "fractions": "정수가 아닌 수",
    "future": "앞날의 날짜",
    "date_order": "앞뒤가 바뀐 날짜",
    "exceeds": "인구보다 많은 취업자",
    "missing_period": "빠진 기간",
    "gap": "사이가 빈 단위",
    "churn": "갑자기 바뀐 단위 구성",
    "missing_by_group": "집단에 따라 다른 결측",
    "missing_by_period": "결측이 몰린 기간",
    "heaping": "끝자리 쏠림",
    "first_digit": "첫자리 분포",
}  # fmt: skip
"""Name of every check."""

SENTENCES: dict[str, str] = {
    "columns_read": "단위는 {unit}, 기간은 {period}, 값은 {n}개 열로 읽음: {values}",
    "too_large": "표가 커서 관측이 많은 단위 {n}개만 기간 사이로 견줌",
    "one_by_one": "표가 커서 파일 {n}개를 하나씩 따로 점검함",
    "cut_row": "마지막 행({row}행)이 도중에 끊겨 파일이 잘린 것으로 보임",
    "unreadable": "{variable}: 수를 적을 열에 수가 아닌 글이 {n}개 있음",
    "duplicates_same": "단위와 기간이 같은 행이 값까지 똑같이 되풀이됨 ({n}쌍)",
    "duplicates_differ": "단위와 기간이 같은 행이 두 번 이상 있고 값이 서로 다름 ({n}쌍)",
    "duplicates_plain": "단위와 기간이 같은 행이 두 번 이상 있음 ({n}쌍)",
    "counted_twice_code": "시와 그 일반구의 행이 함께 있어 두 번 셈함 (괄호는 구의 수): {names}",
    "counted_twice_sum": "바로 앞이나 뒤에 있는 행들의 합과 같은 행이 있어 두 번 셈함 (괄호는 더한 행의 수): {names}",
    "total_row": "합계로 보이는 행이 단위 사이에 있음: {names}",
    "scaled_period": "{variable}: {period} 값이 통째로 {factor}배로 적힌 것으로 보임 ({evidence})",
    "scaled_units": "{variable}: {period} 값이 일부 단위에서만 {factor}배로 적힌 것으로 보임 ({n}개 단위)",
    "unit_change": "{variable}: {period} 앞뒤로 단위가 {factor}배 바뀐 것으로 보임",
    "all_even": "{variable}: {period} 값 {n}개가 모두 짝수임",
    "swapped": "{variable}: {period} {first} 값과 {second} 값이 서로 바뀐 것으로 보임",
    "shifted": "{variable}: {period} 값이 {n}개 단위에서 한 행씩 밀린 것으로 보임 ({first}부터 {second}까지)",
    "name_register": "코드에 맞지 않는 이름이 있음: {names}",
    "name_exchanged": "같은 코드의 이름이 일부 행에서 다른 단위의 이름으로 바뀜: {names}",
    "name_sido": "시·도 이름이 코드와 다름: {names}",
    "renamed": "도중에 이름이 바뀐 단위가 있음: {names}",
    "rate_as_index": "{variable}: 지수라고 하나 값이 변화율로 보임 (값의 가운데 {middle}, 기간마다 크게 오르내림)",
    "rate_as_level": "{variable}: 수준이라고 하나 값이 변화율로 보임 (값의 가운데 {middle})",
    "level_as_rate": "{variable}: 변화율이라고 하나 값이 수준으로 보임 (값의 가운데 {middle})",
    "index_base": "{variable}: 이름에 적힌 기준 시점 {period} 값이 100이 아님 (가운데 {middle})",
    "index_bases": "지수의 기준 시점이 열마다 다름: {names}",
    "break_declared": "{variable}: {period}에 거의 모든 단위가 {percent} 함께 바뀜. 알려진 정의 변경과 시점이 같음: {reason}",
    "break_found": "{variable}: {period}에 거의 모든 단위가 {percent} 함께 바뀌고 되돌아오지 않음",
    "sums": "{total} = {parts} 관계가 {n}행에서 어긋남",
    "twins": "{first} 열과 {second} 열은 거의 모든 행에서 값이 같으나 {n}행에서 다름",
    "stale": "{variable}: {period} 값이 바로 앞 기간과 똑같은 단위가 {n}개임 ({share})",
    "stale_group": "{variable}: {period} {group}의 단위 {n}개 값이 모두 바로 앞 기간과 똑같음",
    "outlier": "{variable}: 앞뒤 기간에서 크게 벗어났다가 돌아온 값이 {n}개 있음",
    "outlier_factor": "{variable}: 앞뒤 기간의 약 {factor}배인 값이 {n}개 있음 (자릿수나 단위 오류로 보임)",
    "negative": "{variable}: 음수가 될 수 없는 값에 음수가 {n}개 있음",
    "negative_unusual": "{variable}: 다른 값은 모두 0 이상인데 음수가 {n}개 있음",
    "share_above": "{variable}: 비율이 {limit}을 넘는 값이 {n}개 있음",
    "share_below": "{variable}: 비율이 음수인 값이 {n}개 있음",
    "fractions": "{variable}: 정수여야 할 값에 소수가 {n}개 있음",
    "future": "{variable}: 오늘보다 뒤의 날짜가 {n}개 있음",
    "future_period": "아직 오지 않은 기간의 값이 있음: {names}",
    "date_order": "{first} 날짜가 {second} 날짜보다 늦은 행이 {n}개 있음",
    "exceeds_once": "{variable} 값이 {total} 값을 일부 기간에만 넘는 단위가 있음 ({n}개 값)",
    "exceeds_always": "{variable} 값이 {total} 값보다 늘 많은 단위가 있음 ({n}개 단위). 일터 기준 통계라면 도심에서 흔함",
    "missing_period": "기간 사이에 빠진 기간이 있음: {names}",
    "missing_period_of": "{variable}: 다른 열에는 있는 기간의 값이 통째로 없음: {names}",
    "gap": "있다가 없어지고 다시 나타나는 단위가 {n}개 있음",
    "churn": "{period}에 단위 구성이 갑자기 바뀜 (새로 나타남 {entered}개, 사라짐 {left}개)",
    "missing_by_group": "{variable}: 결측 비율이 {group}에 따라 다름 ({high} {high_share}, {low} {low_share}, p {p})",
    "missing_by_period": "{variable}: 값이 많이 빈 기간이 있음: {names}",
    "heaping": "{variable}: 0으로 끝나는 값이 {share}임 (고르면 10 %). 어림으로 적었을 수 있음",
    "first_digit": "{variable}: 첫자리 숫자의 분포가 흔한 꼴(벤퍼드)과 다름. 그것만으로는 오류가 아님",
}  # fmt: skip
"""What was found; the words in braces are filled in."""

RULES: dict[str, str] = {
    "columns_read": "다르게 읽어야 하면 --unit, --period, --values 로 열의 머리글을 적을 것",
    "too_large": "기간이나 단위를 나누어 다시 점검할 것",
    "cut_row": "원본을 다시 받을 것",
    "unreadable": "글을 수로 고치거나 빈칸으로 둘 것",
    "duplicates_same": "되풀이된 행을 하나만 남길 것",
    "duplicates_plain": "여러 건이 있을 수 있는 목록인지, 되풀이된 행인지 확인할 것",
    "duplicates_differ": "어느 행이 맞는지 원자료에서 확인하고, 합칠지 고를지 계획에 규칙으로 적을 것",
    "counted_twice": "시 전체의 행이나 그 부분의 행 가운데 한쪽만 남길 것",
    "total_row": "합계 행은 분석에서 뺄 것",
    "scaled": "원자료를 확인하고, 맞으면 그 기간의 값을 {factor}(으)로 나눈다고 계획에 적을 것",
    "unit_change": "열의 단위를 기간마다 적어 한 단위로 바꿀 것 (예: 천원에서 원으로)",
    "all_even": "두 배로 적혔는지 다른 출처의 같은 기간 합계와 견줄 것",
    "swapped": "원자료에서 두 단위의 값을 확인하고 서로 바꿀 것",
    "shifted": "그 기간의 원자료에서 이름과 값의 행을 다시 맞출 것",
    "name": "이름이 아니라 코드로 잇고, 이름은 코드표에서 다시 붙일 것",
    "renamed": "단위를 이름이 아니라 코드로 이을 것",
    "rate_as_index": "지수로 쓰지 말 것. 지수를 다시 받거나 변화율을 이어 곱해 지수로 바꿀 것",
    "rate_as_level": "수준 값을 다시 받거나 열의 뜻을 변화율로 고쳐 적을 것",
    "level_as_rate": "열의 뜻을 수준으로 고쳐 적거나 변화율을 다시 받을 것",
    "index_base": "기준 시점을 확인하고 실질화하기 전에 같은 기준으로 맞출 것",
    "break": "그 시점을 넘어 차분하지 말고, 앞이나 뒤의 기간만 쓸 것",
    "sums": "합계와 부분 가운데 어느 쪽이 맞는지 확인하고 틀린 칸을 고칠 것",
    "stale": "그 기간의 값을 다시 받을 것. 받을 수 없으면 결측으로 둘 것",
    "outlier": "원자료를 확인할 것. 확인할 수 없으면 그 칸을 뺀 결과를 함께 적을 것",
    "impossible": "원자료를 확인하고 고치거나 결측으로 둘 것",
    "fractions": "평균으로 셈한 수인지 확인하고, 아니면 원자료의 수로 고칠 것",
    "future": "날짜를 확인하고 고칠 것",
    "exceeds": "두 열이 같은 사람을 세는지(거주지와 일터) 확인할 것",
    "missing_period": "빠진 기간의 파일을 받거나, 그 기간을 쓰지 않는다고 계획에 적을 것",
    "gap": "빠진 기간이 휴업인지 잇기 실패인지 확인할 것",
    "churn": "조사 대상이나 코드가 바뀌었는지 확인하고, 두 기간에 모두 있는 단위만으로도 추정해 볼 것",
    "missing_by_group": "결측을 빼면 결과가 치우칠 수 있음. 결측의 까닭을 적고 두 집단에서 모두 관측된 기간으로도 추정해 볼 것",
    "missing_by_period": "그 기간을 빼거나 값을 다시 받을 것",
    "digits": "고칠 것은 없음. 스스로 적어 낸 값이면 행정자료와 견주어 볼 것",
}  # fmt: skip
"""What to do; a finding carries one."""


def said(key: str, **values: object) -> str:
    """One sentence with its values."""
    return SENTENCES[key].format(**values)


def number_words(value: float) -> str:
    """A number in a sentence: at most four figures, thousands apart.

    >>> number_words(1234567.0), number_words(2.345678), number_words(0.5)
    ('1,234,567', '2.346', '0.5')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def share_words(share: float) -> str:
    """A share in per cent.

    >>> share_words(0.5)
    '50 %'
    """
    return f"{100 * share:.0f} %"


def listed(names: list[str], most: int = 5) -> str:
    """The first names of a list, and how many there are.

    >>> listed(["가", "나", "다"], 2)
    '가, 나 … (모두 3)'
    """
    return ", ".join(names[:most]) + (f" … (모두 {len(names)})" if len(names) > most else "")
