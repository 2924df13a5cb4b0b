"""Ids of a data set for the results of a prediction: its images by their files, its categories by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from detector.data import images
from detector.data.records import CocoData, ImageRecord
from nars.errors import DataError

__all__ = ["Ids"]


class Ids:
    """The ids of images and categories in results, which are a data set's own if there is one."""

    def __init__(self, classes: Sequence[str], data: CocoData | None = None) -> None:
        """Without `data`, images are numbered from 1, and category k is class k - 1.

        Raises `DataError` if the data have no category for a class.
        """
        self.category_of: dict[int, int | str] = {label: label for label in range(1, len(classes) + 1)}
        self._by_path: dict[Path, tuple[int | str, ImageRecord]] = {}
        self._by_name: dict[str, tuple[int | str, ImageRecord]] = {}
        self._known = data is not None
        if data is not None:
            texts = {**data.train.category_ids, **data.val.category_ids}
            ids = {category.name: texts.get(category.id, category.id) for category in data.categories}
            for label, name in enumerate(classes, start=1):
                if name not in ids:
                    raise DataError(f"{data.val.source}: no category is called {name!r}, which is detected")
                self.category_of[label] = ids[name]
            self._read(data)

    def _read(self, data: CocoData) -> None:
        listed = [
            (subset.path(image), (subset.image_ids.get(image.id, image.id), image))
            for subset in (*data.subsets, *([data.test] if data.test is not None else []))
            for image in subset.images
        ]
        self._by_path = {path.resolve(): known for path, known in listed}
        counts = Counter(path.name for path, _ in listed)
        self._by_name = {path.name: known for path, known in listed if counts[path.name] == 1}

    def _find(self, name: str) -> tuple[int | str, ImageRecord] | None:
        """The id and record of the picture in a file, by its path or, if only one has it, its name."""
        path = Path(name)
        return self._by_path.get(path.resolve(), self._by_name.get(path.name))

    def pixels(self, file: Path) -> Tensor:
        """Read a picture as uint8 RGB [3, H, W]: as the data read it, or else turned as its EXIF note says.

        Raises `DataError`.
        """
        known = self._find(str(file))
        size = None if known is None else (known[1].width, known[1].height)
        try:
            return images.read(file, size)
        except DataError:
            return images.read(file)  # the data state another size

    def image(self, number: int, name: str) -> int | str:
        """The id of the picture in the file `name`, the one with this number from 1.

        Raises `DataError` if the data do not have it.
        """
        if not self._known:
            return number
        known = self._find(name)
        if known is None:
            raise DataError(f"{name}: no image of the data has this file or, alone, this name")
        return known[0]
