"""Ids that are texts in COCO's files: numbers in memory, and texts again in results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.data.records import Subset
from nars.foreign.numbers import whole

__all__ = ["OwnIds", "numbered", "own", "with_own_ids"]

OwnIds = dict[int, str]
"""The text of each id that is none in the file, by the number that stands for it."""


def numbered(document: Mapping[str, Any], categories: OwnIds) -> tuple[dict[str, Any], OwnIds]:
    """COCO's object with numbers for ids of images and categories that are texts, and the texts of images.

    Texts of numbers stand for these, others get numbers in their order. `categories` has the texts of
    categories that are known from other parts of the data set, and gets those of this one.
    """
    images: OwnIds = {}
    rows = {key: _rows(document, key) for key in ("images", "categories", "annotations")}
    image_of = _numbers((row.get("id") for row in rows["images"]), images)
    category_of = _numbers((row.get("id") for row in rows["categories"]), categories)
    changed = dict(document)
    for key, numbers in (("images", image_of), ("categories", category_of)):
        if numbers:
            changed[key] = [_changed(row, {"id": numbers}) for row in document[key]]
    references = {"image_id": image_of, "category_id": category_of}
    own = _numbers((row.get("id") for row in rows["annotations"]), {})
    if rows["annotations"] and (image_of or category_of or own):
        changed["annotations"] = [_changed(row, references | {"id": own}) for row in document["annotations"]]
    return changed, images


def with_own_ids(document: Mapping[str, Any], subset: Subset) -> dict[str, Any]:
    """COCO's object with the ids that the files of a part have."""
    images, categories = subset.image_ids, subset.category_ids
    return dict(document) | {
        "images": [row | {"id": images.get(row["id"], row["id"])} for row in document["images"]],
        "annotations": own(document["annotations"], subset),
        "categories": [row | {"id": categories.get(row["id"], row["id"])} for row in document["categories"]],
    }


def own(rows: Sequence[Mapping[str, Any]], subset: Subset) -> list[dict[str, Any]]:
    """Annotations or results whose images and categories have the ids that the files of a part have."""
    images, categories = subset.image_ids, subset.category_ids
    return [
        dict(row)
        | {
            "image_id": images.get(row["image_id"], row["image_id"]),
            "category_id": categories.get(row["category_id"], row["category_id"]),
        }
        for row in rows
    ]


def _rows(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = document.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _numbers(ids: Iterable[object], known: OwnIds) -> dict[str, int]:
    """A number for each id that is a text; `known` gets the texts by their numbers."""
    given = list(ids)
    texts = dict.fromkeys(id for id in given if isinstance(id, str))
    if not texts:
        return {}
    numbers = {text: number for number, text in known.items()}
    taken = {*known, *(id for id in given if isinstance(id, int))}
    free = max(taken, default=0)
    for text in texts:
        if text in numbers:
            continue
        number = _whole(text)
        if number is None or number in taken:
            number = free = free + 1
        taken.add(number)
        free = max(free, number)
        numbers[text] = number
        known[number] = text
    return {text: numbers[text] for text in texts}


def _whole(text: str) -> int | None:
    try:
        return whole(text, "id")
    except ValueError:
        return None


def _changed(row: Any, numbers: Mapping[str, Mapping[str, int]]) -> Any:
    """A row with the numbers for its texts."""
    if not isinstance(row, dict):
        return row
    changes = {
        key: of[row[key]] for key, of in numbers.items() if isinstance(row.get(key), str) and row[key] in of
    }
    return row | changes
