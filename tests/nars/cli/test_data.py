from __future__ import annotations

from typing import get_args

from detector.data.findings import RULES, Remedy
from nars.cli.data import _REMEDIES


def test_every_remedy_has_words_and_is_one_of_a_rule() -> None:
    assert set(_REMEDIES) == set(get_args(Remedy)) == {rule.remedy for rule in RULES.values()}
