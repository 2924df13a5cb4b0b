"""The faults that `experiments.fuzz.mutants` puts back."""

from __future__ import annotations

from pkgutil import resolve_name

import pytest

from experiments.fuzz.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_a_fault_is_put_into_code_that_exists(mutant: Mutant) -> None:
    for name in mutant.attributes:
        assert resolve_name(name) is not None
