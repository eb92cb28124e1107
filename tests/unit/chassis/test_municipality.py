from __future__ import annotations

import pytest

from chassis.municipality import check_digit, is_municipality, municipality


@pytest.mark.parametrize("code", ["113859", "999997", "999989", "011002", "131016", "472018"])
def test_codes_of_real_and_fictional_towns_are_valid(code: str) -> None:
    assert municipality(code) == code
    assert check_digit(code[:5]) == code[5]


@pytest.mark.parametrize(
    "code", ["113858", "999998", "000000", "11385", "1138590", "", "999997\n", "９９９９９７", "99999a"]
)
def test_anything_else_is_not(code: str) -> None:
    assert not is_municipality(code)
    with pytest.raises(ValueError, match=r"six digits|check digit"):
        municipality(code)


def test_the_message_gives_the_right_check_digit() -> None:
    with pytest.raises(ValueError, match="should be 9"):
        municipality("113858")
