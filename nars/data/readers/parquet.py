"""Reads the columns of a Parquet file, after its sizes have been checked.

A few kilobytes of such a file may stand for any number of rows, and for texts that are repeated in each.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nars.foreign.limits import MOST_INFLATED, check_table
from nars.foreign.paths import open_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["parquet_columns"]


def parquet_columns(file: Path) -> dict[str, list[Any]]:
    """Return the values of each column; of nested columns and of bytes only empty ones.

    Raises `ImportError` without pyarrow, and `OSError` or `ValueError` for a file that is damaged, or
    larger than is unpacked.
    """
    import pyarrow as pa
    from pyarrow import parquet

    size = file.stat().st_size
    with open_file(file) as stream, parquet.ParquetFile(stream) as plain:
        head = plain.metadata
        stated = sum(head.row_group(number).total_byte_size for number in range(head.num_row_groups))
        check_table(head.num_rows, stated, size)
        schema = plain.schema_arrow
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    simple = [field.name for field in schema if not pa.types.is_nested(field.type) and not _is_bytes(field)]
    with open_file(file) as stream, parquet.ParquetFile(stream, read_dictionary=texts) as opened:
        table = opened.read(simple)
    check_table(table.num_rows, sum(map(_bytes, table.columns)), size)
    found = {field.name: [_empty(field)] * table.num_rows for field in schema}
    return found | {str(name): values for name, values in table.to_pydict().items()}


def _is_bytes(field: pa.Field) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(kind(field.type) for kind in kinds)


def _empty(field: pa.Field) -> Any:
    """Return a value of the kind that a field has, which `nars.data.readers.table` refuses as a text."""
    import pyarrow as pa

    if _is_bytes(field):
        return b""
    return {} if pa.types.is_struct(field.type) else []


def _bytes(column: pa.ChunkedArray) -> int:
    """Count the bytes of a column whose values are written out, though a dictionary has them once."""
    import pyarrow as pa
    from pyarrow import compute

    total = 0
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            total += chunk.nbytes
        elif len(chunk.dictionary):
            lengths = compute.cast(compute.binary_length(chunk.dictionary), pa.int64())
            total += compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
            if total > MOST_INFLATED:
                break
    return total
