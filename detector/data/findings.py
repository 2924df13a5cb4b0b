"""The faults that a detection data set can have, their severity, and their remedies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nars.errors import DataError

__all__ = ["RULES", "Finding", "FindingHandler", "Remedy", "Severity", "pass_over", "refuse", "summary"]

Severity = Literal["error", "warning"]
"""An error keeps a training from starting; a warning does not."""

Remedy = Literal[
    "refuse",
    "drop image",
    "drop annotation",
    "drop mask",
    "clip",
    "renumber",
    "merge",
    "restate",
    "corners",
    "fractions",
    "area",
    "keep",
    "leave out",
    "leave out image",
]
"""The action of `detector.data.mend`; it does nothing for ``refuse`` and ``keep``.

``leave out`` drops a copy of an annotation or of an image, but only in what ``--fix`` writes.
"""


class Rule(NamedTuple):
    """The severity of a fault, and what `detector.data.mend` does about it."""

    severity: Severity
    remedy: Remedy


RULES: dict[str, Rule] = {
    "file-unreadable": Rule("error", "refuse"),  # an annotation file that cannot be parsed
    "data-empty": Rule("error", "refuse"),  # a split without images, or without a single box
    "categories-missing": Rule("error", "refuse"),  # boxes, and no category at all
    "category-conflict": Rule("error", "refuse"),  # one category id with two names
    "category-duplicate": Rule("error", "merge"),  # one name with two category ids
    "record-malformed": Rule("error", "drop annotation"),  # an entry without its fields, or of wrong types
    "image-missing": Rule("error", "drop image"),  # an image file that is not there
    "image-unreadable": Rule("error", "drop image"),  # an image that cannot be decoded to its end
    "image-id-duplicate": Rule("error", "drop image"),  # one id for two images
    "size-mismatch": Rule("error", "restate"),  # an image of another size than stated
    "annotation-without-image": Rule("error", "drop annotation"),  # a box of an image that is not listed
    "annotation-id-duplicate": Rule("error", "renumber"),  # one id for two annotations
    "category-unknown": Rule("error", "drop annotation"),  # a box of a category that is not listed
    "box-nonfinite": Rule("error", "drop annotation"),  # a box with NaN or infinite numbers
    "box-empty": Rule("error", "drop annotation"),  # a box without area
    "box-outside": Rule("error", "drop annotation"),  # a box entirely outside its image
    "box-corners": Rule("error", "corners"),  # two corners in the place of a corner and a size
    "box-fractions": Rule("error", "fractions"),  # fractions of the image in the place of pixels
    "box-area": Rule("warning", "area"),  # a stated area that the box cannot have
    "box-duplicate": Rule("warning", "leave out"),  # the same box of the same category twice in an image
    "box-tiny": Rule("warning", "keep"),  # a box with a side below a pixel
    "box-small": Rule("warning", "keep"),  # a box too small for the finest anchors of the space fbnetv3od
    "category-alike": Rule("warning", "keep"),  # names that differ in case or spaces alone
    "box-overhang": Rule("warning", "clip"),  # a box that reaches over the border by more than a pixel
    "mask-malformed": Rule("warning", "drop mask"),  # neither polygons nor a run-length code
    "file-duplicate": Rule("warning", "leave out image"),  # one image file listed twice, with its boxes
    "image-duplicate": Rule("warning", "leave out image"),  # the same image under two names, with its boxes
    "image-ambiguous": Rule("warning", "keep"),  # the same image twice, with other boxes the second time
    "image-in-both": Rule("warning", "keep"),  # the same image in two parts
    "category-unused": Rule("warning", "keep"),  # a category without boxes in train or val
    "orientation": Rule("warning", "keep"),  # the EXIF note turns the image, perhaps not its boxes
    "crowd": Rule("warning", "keep"),  # a crowd: not trained on, ignored in evaluation
    "image-without-boxes": Rule("warning", "keep"),  # kept as background
}
"""The rule of each code, the gravest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `file` is the image or annotation file, `id` is the record's.

    `index` is the record's position among the images or annotations of its split, or among the
    categories of all; None if there is no record to mend.
    """

    code: str
    split: str
    file: str
    message: str
    id: int | None = None
    index: int | None = None

    @property
    def severity(self) -> Severity:
        """The severity of its code."""
        return RULES[self.code].severity

    @property
    def remedy(self) -> Remedy:
        """The action that mends it."""
        return RULES[self.code].remedy

    def row(self) -> dict[str, str | int | None]:
        """Return the finding as a row of a table, or of JSON."""
        return {
            "severity": self.severity,
            "code": self.code,
            "split": self.split,
            "file": self.file,
            "id": self.id,
            "message": self.message,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        number = "" if self.id is None else f" (id {self.id})"
        return f"{self.file}{number}: {self.message}"


FindingHandler = Callable[[Finding], None]
"""Takes each fault that a reader comes across; if it returns, the reader leaves the record out."""


def refuse(finding: Finding) -> None:
    """Tolerate no fault: the default handler of every reader. Raises `DataError`."""
    raise DataError(str(finding))


def pass_over(finding: Finding) -> None:
    """Tolerate faults of single records, for callers to whom ids and names are enough.

    Raises `DataError` for a fault that cannot be left out.
    """
    if finding.remedy == "refuse":
        refuse(finding)


def summary(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the findings of each code, the gravest first."""
    counts = Counter(finding.code for finding in findings)
    return {code: counts[code] for code in RULES if counts[code]}
