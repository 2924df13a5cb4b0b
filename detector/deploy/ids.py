"""Ids of a data set for the results of a prediction: its images by their files, its categories by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from detector.data.records import CocoData
from nars.errors import DataError

__all__ = ["Ids"]


class Ids:
    """The ids of images and categories in results, which are a data set's own if there is one."""

    def __init__(self, classes: Sequence[str], data: CocoData | None = None) -> None:
        """Without `data`, images are numbered from 1, and category k is class k - 1.

        Raises `DataError` if the data have no category for a class.
        """
        self.category_of: dict[int, int | str] = {label: label for label in range(1, len(classes) + 1)}
        self._by_path: dict[Path, int | str] = {}
        self._by_name: dict[str, int | str] = {}
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
        images: list[tuple[Path, int | str]] = [
            (subset.path(image), subset.image_ids.get(image.id, image.id))
            for subset in (*data.subsets, *([data.test] if data.test is not None else []))
            for image in subset.images
        ]
        self._by_path = {path.resolve(): id for path, id in images}
        counts = Counter(path.name for path, _ in images)
        self._by_name = {path.name: id for path, id in images if counts[path.name] == 1}

    def image(self, number: int, name: str) -> int | str:
        """The id of the picture in the file `name`, the one with this number from 1.

        Raises `DataError` if the data do not have it.
        """
        if not self._known:
            return number
        path = Path(name)
        id = self._by_path.get(path.resolve(), self._by_name.get(path.name))
        if id is None:
            raise DataError(f"{name}: no image of the data has this file or, alone, this name")
        return id
