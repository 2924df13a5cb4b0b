"""Names are drawn as they are, or as their codes if no font has their characters."""

from __future__ import annotations

import logging

import pytest
from PIL import Image, ImageDraw, ImageFont

from nars.deploy import fonts
from nars.deploy.drawing import draw_label
from nars.deploy.fonts import drawable, font_with


@pytest.fixture
def none_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts._covering.cache_clear()
    monkeypatch.setattr(fonts, "_FAMILIES", ("DejaVu Sans",))


def test_ascii_keeps_its_font() -> None:
    font = ImageFont.load_default(12)
    assert font_with("sedan [red]", font) == ("sedan [red]", font)


def test_letters_that_a_font_has_are_drawn_with_it() -> None:
    text, font = font_with("Häuschen", ImageFont.load_default(14))
    assert text == "Häuschen"
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert font.size == 14


@pytest.mark.usefixtures("none_has_it")
def test_characters_that_no_font_has_are_codes_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    font = ImageFont.load_default(12)
    with caplog.at_level(logging.WARNING):
        assert font_with("红色 0.9", font) == (r"\u7ea2\u8272 0.9", font)
        font_with("红色 0.9", font)
    assert len(caplog.records) == 1
    image = Image.new("RGB", (200, 40))
    draw_label(ImageDraw.Draw(image), 0, 30, "红色 0.9", 1, font)
    assert image.getbbox() is not None


@pytest.mark.usefixtures("none_has_it")
def test_no_name_is_a_formula_for_matplotlib() -> None:
    assert drawable("5$ or 10$") == r"5\$ or 10\$"
    assert drawable("红") == r"\u7ea2"
