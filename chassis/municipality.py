"""The tenant: a municipality's code (全国地方公共団体コード), six digits of which the last one checks the rest."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

INSTALLATION = "000000"
"""Stands where a fact concerns the whole installation (the simulated clock). It is no municipality."""

_CODE = re.compile(r"[0-9]{6}")
_WEIGHTS = (6, 5, 4, 3, 2)


def check_digit(first_five: str) -> str:
    """The sixth digit that belongs to the first five.

    Rule: weights 6, 5, 4, 3, 2; below 11 the digit is 11 minus the sum, else 11 minus the remainder of the
    division by 11; of two digits the last one counts (総務省「全国地方公共団体コード」, 検査数字).
    """
    total = sum(int(digit) * weight for digit, weight in zip(first_five, _WEIGHTS, strict=True))
    return str(11 - total % 11)[-1]


def is_municipality(code: str) -> bool:
    """Whether the code has six digits and its check digit is right."""
    return _CODE.fullmatch(code) is not None and code[5] == check_digit(code[:5])


def municipality(code: str) -> str:
    """The code itself.

    Raises:
        ValueError: not six digits, or the check digit is wrong; the message gives the right one.
    """
    if _CODE.fullmatch(code) is None:
        raise ValueError(f"a municipality code has six digits, not {code!r}")
    if (right := check_digit(code[:5])) != code[5]:
        raise ValueError(f"the check digit of municipality code {code} should be {right}")
    return code


Municipality = Annotated[str, AfterValidator(municipality)]
"""A verified municipality code, for pydantic models and FastAPI parameters."""
