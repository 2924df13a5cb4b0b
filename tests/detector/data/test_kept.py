from __future__ import annotations

from pathlib import Path

import folders
import pytest
import torch

from detector.data import images, kept, layouts
from nars.errors import DataError


def test_an_image_is_read_once(tmp_path: Path) -> None:
    data = layouts.load(folders.coco(tmp_path))
    whole = kept.kept(data)
    first, second = data.train.images[:2]
    expected = images.load(data.train, first)
    assert torch.equal(images.load(whole.train, first), expected)
    data.train.path(first).unlink()
    data.train.path(second).unlink()
    assert torch.equal(images.load(whole.train, first), expected)
    with pytest.raises(DataError, match=second.file):
        images.load(whole.train, second)
    assert len(whole.train.pixels or ()) == len(data.train.images)
    assert set(whole.val.pixels or ()) == {image.id for image in data.val.images}


def test_a_large_data_set_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = layouts.load(folders.coco(tmp_path))
    monkeypatch.setattr(kept, "_MOST_BYTES", 1000)
    assert kept.kept(data) is data
