"""Results of a prediction have the ids of a data set."""

from __future__ import annotations

from pathlib import Path

import folders
import pytest
from PIL import Image

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


def test_pictures_are_read_as_the_data_read_them(tmp_path: Path) -> None:
    """A set that states the stored size has its boxes there; a viewer would turn the picture."""

    def unturned(document: folders.Document) -> None:
        document["images"][0] |= {"width": 64, "height": 48}

    folder = folders.coco(tmp_path / "data", unturned)
    data = load(folder)
    file = data.train.path(data.train.images[0])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (64, 48)).save(file, exif=turned)
    assert Ids(("cup",), data).pixels(file).shape == (3, 48, 64)
    assert Ids(("cup",)).pixels(file).shape == (3, 64, 48)
    Image.new("RGB", (30, 20)).save(file)
    assert Ids(("cup",), data).pixels(file).shape == (3, 20, 30)


def test_without_data_images_are_numbered() -> None:
    ids = Ids(("ant", "bee"))
    assert (ids.category_of, ids.image(4, "new.jpg")) == ({1: 1, 2: 2}, 4)
