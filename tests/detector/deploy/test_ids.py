"""Results of a prediction have the ids of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.data import scenes
from detector.data.coco import write
from detector.data.layouts import load
from detector.deploy.ids import Ids
from nars.errors import DataError


def test_images_by_file_and_categories_by_name(tmp_path: Path) -> None:
    write(scenes.make(train=3, val=2), tmp_path / "data")
    data = load(tmp_path / "data")
    ids = Ids(("7", "3"), data)
    by_name = {category.name: category.id for category in data.categories}
    assert ids.category_of == {1: by_name["7"], 2: by_name["3"]}
    image = data.val.images[1]
    assert ids.image(1, str(data.val.path(image))) == image.id
    with pytest.raises(DataError, match=r"new\.jpg: no image of the data"):
        ids.image(1, "new.jpg")
    with pytest.raises(DataError, match="no category is called 'ant'"):
        Ids(("ant",), data)


def test_without_data_images_are_numbered() -> None:
    ids = Ids(("ant", "bee"))
    assert (ids.category_of, ids.image(4, "new.jpg")) == ({1: 1, 2: 2}, 4)
