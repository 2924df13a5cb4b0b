"""Reads the lines of Optuna's journal, and finds those that no search wrote.

Optuna passes over a line about a study or a trial that does not exist, for in its own use another process
may have removed it. In a search none is removed, so such a line means that others before it are missing: read
without a word, the study would be a shorter one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

from nars.errors import RunError
from nars.foreign.limits import MOST_LINE
from nars.foreign.paths import open_file

__all__ = ["read_journal"]

logger = logging.getLogger(__name__)

_CREATE_STUDY, _CREATE_TRIAL = 0, 4
"""Codes of the operations that make a study and a trial."""

_OF_STUDY, _OF_TRIAL = (1, 2, 3, 4), (5, 6, 7, 8, 9)
"""Codes of the operations on a study and on a trial that exists."""


def read_journal(file: Path) -> Generator[dict[str, Any], None, None]:
    """Yield every whole line of a journal. Raises `RunError` that names a damaged one.

    A last line that is not whole is left out, which is logged.
    """
    check = _Order(file)
    try:
        with open_file(file) as stream:
            lines = enumerate(iter(lambda: stream.readline(MOST_LINE), b""), start=1)
            for number, line in lines:
                if not line.endswith(b"\n"):
                    check.end(number, len(line))
                    return
                yield check.line(number, line)
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}") from None


class _Order:
    """Checks that lines are about studies and trials that lines before them make."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.studies = self.trials = 0

    def line(self, number: int, text: bytes) -> dict[str, Any]:
        """Return the fields of a line. Raises `RunError`."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        code = fields.get("op_code") if isinstance(fields, dict) else None
        if type(code) is not int or not _CREATE_STUDY <= code <= _OF_TRIAL[-1]:  # True is an int, too
            raise RunError(f"{self.file}: line {number} is damaged: not a line of Optuna's journal")
        assert isinstance(fields, dict)
        for codes, name, made in (
            (_OF_STUDY, "study_id", self.studies),
            (_OF_TRIAL, "trial_id", self.trials),
        ):
            place = fields.get(name)
            if code in codes and not (type(place) is int and 0 <= place < made):
                what = name.partition("_")[0]
                raise RunError(
                    f"{self.file}: line {number} is damaged, or lines before it are missing: "
                    f"it is about a {what} that none of them makes"
                )
        self.studies += code == _CREATE_STUDY
        self.trials += code == _CREATE_TRIAL
        return fields

    def end(self, number: int, length: int) -> None:
        """Say that the last line is not whole. Raises `RunError` if it is longer than any line."""
        if length >= MOST_LINE:
            raise RunError(f"{self.file}: line {number} is damaged: longer than {MOST_LINE} bytes")
        logger.warning("%s: line %d is cut off: read without it", self.file, number)
