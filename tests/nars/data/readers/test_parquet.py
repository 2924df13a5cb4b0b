"""Parquet files that state more than they have are refused before memory is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nars.data.readers.table import table
from nars.errors import DataError

pa = pytest.importorskip("pyarrow")


def _repeated(values: list[str], count: int) -> object:
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(count, dtype=np.int32) % len(values)), values)


def _write(file: Path, **columns: object) -> Path:
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), file, compression="zstd")
    return file


def test_texts_that_a_dictionary_repeats_are_counted_in_full(tmp_path: Path) -> None:
    labels = _repeated(["x" * 100_000, "b"], 100_000)
    file = _write(tmp_path / "a.parquet", path=_repeated(["0.png"], 100_000), label=labels)
    assert file.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"bytes would become \d{10}, more than is unpacked"):
        table(file)


def test_more_rows_than_bytes_are_refused(tmp_path: Path) -> None:
    count = 1_500_000
    labels = pa.array(np.zeros(count, dtype=np.int8))
    file = _write(tmp_path / "a.parquet", path=_repeated(["0.png"], count), label=labels)
    with pytest.raises(DataError, match=rf"would become {count} rows, more than is unpacked"):
        table(file)


@pytest.mark.parametrize("values", [[b"a", b"b"], [[1], [2]], [{"a": 1}, {"a": 2}]])
def test_a_column_that_is_no_text_is_named(tmp_path: Path, values: list[object]) -> None:
    file = _write(tmp_path / "a.parquet", path=pa.array(values), label=pa.array(["a", "b"]))
    with pytest.raises(DataError, match=r"row 1, column path: expected text, got (bytes|list|dict)"):
        table(file)
