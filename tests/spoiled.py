"""Faults of COCO documents: changes to the training annotations of `folders.coco`."""

from __future__ import annotations

from collections.abc import Callable

import folders

Spoil = Callable[[folders.Document], object]


def box(*numbers: float, index: int = 0) -> Spoil:
    return lambda document: document["annotations"][index].update(bbox=list(numbers))


def annotation(**fields: object) -> Spoil:
    return lambda document: document["annotations"][0].update(fields)


def image(**fields: object) -> Spoil:
    return lambda document: document["images"][0].update(fields)


def resized(width: int, height: int, **fields: object) -> Spoil:
    """State another size of the first image, and other fields of its first box."""

    def spoil(document: folders.Document) -> None:
        document["images"][0].update(width=width, height=height)
        document["annotations"][0].update(fields)

    return spoil


def unsized(**fields: object) -> Spoil:
    return resized(0, 0, **fields)


def without(key: str, image_id: int) -> Spoil:
    return lambda document: document.update(
        {key: [row for row in document[key] if row.get("image_id", row["id"]) != image_id]}
    )


SPOILED: dict[str, tuple[Spoil, dict[str, int], int | None]] = {
    "nothing": (lambda document: None, {}, None),
    "box left of its image": (box(-30, 5, 20, 5), {"box-outside": 1}, 2),
    "box below its image": (box(5, 48, 20, 5), {"box-outside": 1}, 2),
    "box over the border": (box(50, 5, 20, 5), {"box-overhang": 1}, 2),
    "box over the border by rounding": (box(-0.9, -1, 65.8, 49.9), {}, None),
    "box without width": (box(5, 5, 0, 5), {"box-empty": 1}, 2),
    "box thinner than a float can tell": (box(5, 5, 1e-18, 5), {"box-empty": 1}, 2),
    "box of negative height": (box(5, 5, 5, -3), {"box-empty": 1}, 2),
    "box that is not a number": (box(5, 5, float("nan"), 5), {"box-nonfinite": 1}, 2),
    "box from nowhere": (box(5, float("nan"), 5, 5), {"box-nonfinite": 1}, 2),
    "box a hair outside": (box(64, 5, 0.5, 5), {"box-outside": 1}, 2),
    "box that is infinite": (box(5, 5, 5, float("inf")), {"box-nonfinite": 1}, 2),
    "box of three numbers": (box(5, 5, 5), {"record-malformed": 1}, 2),
    "unknown category": (annotation(category_id=99), {"category-unknown": 1}, 2),
    "unknown image": (annotation(image_id=99), {"annotation-without-image": 1}, 2),
    "same annotation id": (annotation(id=3), {"annotation-id-duplicate": 1}, 3),
    "crowd": (annotation(iscrowd=1), {"crowd": 1}, 2),
    "polygon of two points": (annotation(segmentation=[[1, 2, 3, 4]]), {"mask-malformed": 1}, 2),
    "missing file": (image(file_name="none.png"), {"image-missing": 1}, 1),
    "same image id and file": (
        lambda document: document["images"].append(document["images"][1]),
        {"image-id-duplicate": 1, "file-duplicate": 1},
        2,
    ),
    "same image id, another file": (
        lambda document: document["images"][0].update(id=2),
        {"image-id-duplicate": 1, "annotation-without-image": 2},
        2,
    ),
    "same file, another id": (image(file_name="2.png"), {"file-duplicate": 1}, 2),
    "other size": (image(width=128), {"size-mismatch": 1}, 1),
    "transposed size": (image(width=48, height=64), {"size-mismatch": 1}, 1),
    "no size": (lambda document: document["images"][0].pop("width"), {"size-mismatch": 1}, 1),
    "no size, and a box left of its image": (
        unsized(bbox=[-30, 5, 20, 5]),
        {"size-mismatch": 1, "box-outside": 1},
        1,
    ),
    "no size, and a box over the border": (
        unsized(bbox=[-5, 5, 20, 5]),
        {"size-mismatch": 1, "box-overhang": 1},
        1,
    ),
    "no size, and a mask of half a size": (
        unsized(segmentation={"size": [48], "counts": [48 * 64]}),
        {"size-mismatch": 1, "mask-malformed": 1},
        1,
    ),
    "transposed size, and a mask of it": (
        resized(48, 64, segmentation={"size": [64, 48], "counts": [48 * 64]}),
        {"size-mismatch": 1, "mask-malformed": 1},
        1,
    ),
    "transposed size, and a mask of the image": (
        resized(48, 64, segmentation={"size": [48, 64], "counts": [48 * 64]}),
        {"size-mismatch": 1},
        1,
    ),
    "image without boxes": (without("annotations", 1), {"image-without-boxes": 1}, 1),
    "unused category": (
        lambda document: document["categories"].append({"id": 8, "name": "fork"}),
        {"category-unused": 1},
        8,
    ),
    "category of another name": (
        lambda document: document["categories"][0].update(name="plate"),
        {"category-conflict": 1},
        7,
    ),
    "no boxes": (
        lambda document: document.update(annotations=[]),
        {"data-empty": 1},
        None,
    ),
    "no images": (lambda document: document.update(images=[], annotations=[]), {"data-empty": 1}, None),
}
"""Changes by name, the codes that a check gives then, and the id of a record with the first of them."""
