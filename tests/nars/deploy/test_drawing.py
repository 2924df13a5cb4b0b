"""Labels, and the pictures that are kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nars.deploy.drawing import Album, enlarged


def test_an_album_is_a_folder_a_sheet_or_nothing(tmp_path: Path) -> None:
    picture = Image.new("RGB", (320, 240))
    pages = Album(tmp_path / "pages"), Album(tmp_path / "sheet.png"), Album(None)
    for album in pages:
        for number in range(1, 15):
            album.add(number, f"photos/{number}.jpg", picture)
        album.finish("[]")
    assert [album.is_full for album in pages] == [False, True, True]
    written = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert written[0] == "00001-1.png"
    assert written[-1] == "results.json"
    assert len(written) == 15
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 328 + 8, 3 * 248 + 8)


def test_an_empty_sheet_is_not_written(tmp_path: Path) -> None:
    Album(tmp_path / "sheet.png").finish("[]")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("size", "larger"), [((160, 80), (320, 160)), ((8, 8), (32, 32)), ((640, 2), (640, 2))]
)
def test_small_pictures_are_enlarged(size: tuple[int, int], larger: tuple[int, int]) -> None:
    image, scale = enlarged(Image.new("RGB", size))
    assert image.size == larger
    assert scale == larger[0] / size[0]


@pytest.mark.parametrize("name", ["x" * 250 + ".jpg", "\u65e5" * 83 + ".jpg"])
def test_a_picture_may_have_the_longest_name_that_a_file_can_have(name: str, tmp_path: Path) -> None:
    album = Album(tmp_path / "drawn")
    for number in (1, 2):
        album.add(number, name, Image.new("RGB", (4, 4)))
    files = sorted(file.name for file in (tmp_path / "drawn").iterdir())
    assert [file[:8] for file in files] == [f"0000{number}-{name[:2]}" for number in (1, 2)]
