"""Kinds of data sets with boxes: COCO, VOC, YOLO and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from experiments.fuzz.documents import aliases
from experiments.fuzz.hostile import (
    ELSEWHERE,
    NO_NAMES,
    as_json,
    as_yaml,
    damaged,
    hostile,
    mutated,
    renumbered,
)
from experiments.fuzz.judge import Case, Kind, command
from experiments.fuzz.pictures import picture
from nars.errors import NarsError

__all__ = ["KINDS"]


def _coco_tree() -> dict[str, Any]:
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": 24, "height": 24} for number in range(4)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number % 4,
                "category_id": 1 + number % 2,
                "bbox": [2, 3, 10.5, 9],
                "area": 94.5,
                "iscrowd": 0,
                "segmentation": [[2, 3, 12, 3, 12, 12]]
                if number % 2
                else {"size": [24, 24], "counts": [50, 10, 516]},
            }
            for number in range(6)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b", "supercategory": "a"}],
    }


@st.composite
def _coco(draw: st.DrawFn) -> Case:
    tree = _coco_tree()
    if draw(st.integers(0, 9)) == 0:
        draw(st.sampled_from(tree["images"]))["file_name"] = draw(st.sampled_from(ELSEWHERE))
    if draw(st.integers(0, 4)) == 0:
        annotation = draw(st.sampled_from(tree["annotations"]))
        annotation |= draw(renumbered({"segmentation": annotation["segmentation"]}))
    if draw(st.integers(0, 9)) == 0:
        for annotation in tree["annotations"]:
            annotation |= {"bbox": [side / 24 for side in annotation["bbox"]], "area": 94.5 / 576}
    changed = draw(mutated(tree)) if draw(st.integers(0, 2)) else tree
    annotations = draw(damaged(as_json(changed)))
    return {"train/annotations.json": annotations} | {f"train/{n}.png": picture() for n in range(4)}


_XML = (
    "<annotation><folder>{folder}</folder><filename>{filename}</filename><path>{path}</path><size><width>{width}</width>"
    "<height>{height}</height><depth>{depth}</depth></size><object><name>{name}</name><difficult>{difficult}</difficult>"
    "<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object></annotation>"
)
_FIELDS = {
    "folder": "x",
    "filename": "0.png",
    "path": "/x/0.png",
    "width": "24",
    "height": "24",
    "depth": "3",
    "name": "a",
    "difficult": "0",
    "xmin": "2",
    "ymin": "2",
    "xmax": "12",
    "ymax": "12",
}
_BILLION = (
    b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    b"<annotation><filename>&b;</filename></annotation>"
)


@st.composite
def _voc(draw: st.DrawFn) -> Case:
    fields = draw(mutated(dict(_FIELDS)))
    fields = {**_FIELDS, **(fields if isinstance(fields, dict) else {})}
    texts = {key: escape(str(value)[:20_000]) for key, value in fields.items()}
    first = _XML.format(**texts).encode(errors="replace")
    first = draw(st.sampled_from([first, first, first, _BILLION, first * 2, b"<a>" * 5000]))
    lines = draw(
        st.lists(
            st.one_of(
                st.sampled_from(["0", "1", "../../outside/secret", "/etc/passwd", *NO_NAMES]),
                hostile.map(lambda value: str(value)[:9000]),
            ),
            max_size=4,
        )
    )
    case: dict[str, bytes] = {f"JPEGImages/{n}.png": picture() for n in range(3)}
    case |= {f"Annotations/{n}.xml": _XML.format(**_FIELDS).encode() for n in range(3)}
    case["Annotations/0.xml"] = draw(damaged(first))
    if draw(st.booleans()):
        case["ImageSets/Main/train.txt"] = draw(damaged("\n".join(lines).encode(errors="replace")))
        case["ImageSets/Main/val.txt"] = b"1\n2\n"
    return case


_YAML = {"path": ".", "train": "images/train", "val": "images/val", "nc": 2, "names": ["a", "b"]}


@st.composite
def _yolo(draw: st.DrawFn) -> Case:
    rows = draw(mutated([[0, 0.5, 0.5, 0.2, 0.2], [1, 0.1, 0.1, 0.3, 0.1, 0.3, 0.3]]))
    lines = (
        [
            " ".join(str(value)[:5000] for value in row) if isinstance(row, list) else str(row)[:5000]
            for row in rows
        ]
        if isinstance(rows, list)
        else [str(rows)[:5000]]
    )
    case = {f"images/{part}/{n}.png": picture() for part in ("train", "val") for n in range(2)}
    part = draw(st.sampled_from([*["images/train"] * 6, *["list.txt"] * 3, *NO_NAMES[:2]]))
    fields: dict[str, Any] = _YAML | {"train": part}
    if draw(st.integers(0, 19)) == 0:
        fields[draw(st.sampled_from(["-", "a", "_9"])) * 20_000] = "images/train"
    description = as_yaml(draw(mutated(fields)))
    if draw(st.integers(0, 9)) == 0:
        key = draw(st.sampled_from([b"names", b"val", b"train", b"path", b"kpt_shape", b"x"]))
        description = aliases() + b"\n" + description + b"\n" + key + b": *a8\n"
    case["data.yaml"] = draw(damaged(description))
    case["labels/train/0.txt"] = draw(damaged("\n".join(lines).encode(errors="replace")))
    case["labels/val/0.txt"] = b"0 0.5 0.5 0.2 0.2\n"
    case["list.txt"] = draw(
        st.sampled_from([*(f"{name}\n".encode() for name in ELSEWHERE), b"images/train/0.png\n", b"\0\n"])
    )
    return case


_TABLES = (
    ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"],
    ["ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "split"],
    ["image_id", "bbox", "width", "height"],
)
_CELLS = {"filename": "{n}.png", "class": "a", "xmin": "2", "ymin": "3", "xmax": "12", "ymax": "11"}
_CELLS |= {"ImageID": "{n}", "LabelName": "b", "XMin": "0.1", "XMax": "0.5", "YMin": "0.2", "YMax": "0.9"}
_CELLS |= {"image_id": "{n}", "bbox": "[2; 3; 9; 8]", "width": "24", "height": "24", "split": "train"}
"""Columns of tables of boxes, and what a row has in them."""


@st.composite
def _boxes_csv(draw: st.DrawFn) -> Case:
    head = draw(st.sampled_from(_TABLES))
    rows = [[_CELLS[name].format(n=n) for name in head] for n in range(6)]
    if draw(st.integers(0, 9)) == 0:
        rows[draw(st.integers(0, 5))][0] = draw(st.sampled_from(ELSEWHERE + NO_NAMES))
    if draw(st.booleans()):
        content = draw(mutated([head, *rows]))
    else:
        changed = draw(mutated(rows, 2))
        content = [head, *changed] if isinstance(changed, list) else changed
    text = "\n".join(
        ",".join(str(value)[:3000] for value in row) if isinstance(row, list) else str(row)[:3000]
        for row in (content if isinstance(content, list) else [content])
    )
    case = {f"{n}.png": picture() for n in range(6)}
    return case | {"t.csv": draw(damaged(text.encode(errors="replace")))}


def _boxes(folder: Path) -> None:
    """Check and mend; in what is written nothing is left to mend, and its masks can be decoded."""
    from detector.data.check import check

    command("data", "check", folder, "--fix", "fixed")
    if Path("fixed").exists():
        try:
            left = [finding for finding in check("fixed") if finding.remedy != "keep"]
            _decode(Path("fixed"))
        except NarsError as error:
            raise AssertionError(f"what --fix wrote is refused: {error}") from None
        assert not left, f"what --fix wrote has a fault: {left[0].code}"


def _decode(folder: Path) -> None:
    """Decode every mask of a data set, as its training does."""
    from detector.data import layouts, masks

    for subset in layouts.load(folder).subsets:
        sizes = {image.id: (image.height, image.width) for image in subset.images}
        for annotation in subset.annotations:
            if annotation.segmentation is not None:
                masks.decode(annotation.segmentation, *sizes[annotation.image_id])


KINDS = (
    Kind("coco", _coco(), _boxes),
    Kind("voc", _voc(), _boxes),
    Kind("yolo", _yolo(), _boxes),
    Kind("boxes csv", _boxes_csv(), _boxes),
)
"""Data sets for detectors."""
