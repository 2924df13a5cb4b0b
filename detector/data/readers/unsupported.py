"""Recognises exports that are not read, and says which export of the same tool is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nars.foreign.files import folders
from nars.foreign.names import is_leftover
from nars.foreign.paths import open_file

__all__ = ["named"]

_HEAD = 100_000
"""Bytes of a file that are looked at."""

_MOST = 50
"""Files of a folder that are looked at."""


class _Sign(NamedTuple):
    """Texts in the beginning of a file, all of which are there, that give away a format."""

    suffixes: tuple[str, ...]
    texts: tuple[str, ...]
    what: str
    remedy: str


_CVAT = "export as COCO 1.0, YOLO or Pascal VOC"
_CONVERT = "convert it to COCO, YOLO or Pascal VOC, as FiftyOne and Datumaro do"
"""Remedies of several formats."""

_SCALABEL = "python -m scalabel.label.to_coco writes COCO"

_SIGNS = (
    _Sign((".json",), ('"segments_info"',), "COCO's panoptic format", "give COCO's instances_*.json instead"),
    _Sign((".json",), ('"shapes"', '"imagePath"'), "LabelMe's format", "labelme2coco converts it to COCO"),
    _Sign((".json",), ('"coordinates"', '"annotations"', '"image"'), "CreateML's format", "export as COCO"),
    _Sign((".json",), ('"shape_attributes"', '"regions"'), "VIA's project", "export as COCO format in VIA"),
    _Sign((".json",), ('"classTitle"',), "Supervisely's format", "export it with the app Export to COCO"),
    _Sign((".json",), ('"items"', '"categories"'), "Datumaro's format", "datum convert -f coco writes COCO"),
    _Sign((".json",), ('"item"', '"slots"'), "V7's Darwin JSON", "export as COCO in V7"),
    _Sign((".json",), ('"instances"', '"className"'), "SuperAnnotate's format", "its SDK exports COCO"),
    _Sign((".json",), ('"box2d"', '"category"'), "Scalabel's format, as of BDD100K", _SCALABEL),
    _Sign((".json",), ('"task_id"', '"attachment"'), "Scale's format", _CONVERT),
    _Sign((".odgt",), ('"gtboxes"',), "CrowdHuman's format", _CONVERT),
    _Sign((".ndjson", ".jsonl"), ('"data_row"',), "Labelbox's format", _CONVERT),
    _Sign((".jsonl",), ('"objects"', '"file_name"'), "metadata.jsonl of Hugging Face", _CONVERT),
    _Sign((".ndjson",), ('"annotations"', '"file"'), "Ultralytics HUB's NDJSON", "download the set as YOLO"),
    _Sign((".manifest",), ('"source-ref"',), "a manifest of SageMaker Ground Truth", _CONVERT),
    _Sign((".csv",), ("gs://",), "Vertex AI's CSV", _CONVERT),
    _Sign((".csv",), ("region_shape_attributes",), "VIA's CSV", "export as COCO format in VIA"),
    _Sign((".xml",), ("<annotations>",), "CVAT's own XML of all images", _CVAT),
)
"""Formats by what is in their files."""


_VISDRONE = re.compile(r"(\d+,){5}")
"""Start of a line of VisDrone's: left, top, width, height, score and class."""


def named(folder: Path) -> str | None:
    """Name the format of a data set, and the way to one that is read; None if it is not recognised."""
    for file in _files(folder):
        if ".tfrecord" in file.name.lower():
            return f"{file.relative_to(folder)} is a TFRecord: {_CONVERT}"
        text = _head(file)
        for sign in _SIGNS:
            if file.suffix.lower() in sign.suffixes and all(part in text for part in sign.texts):
                return f"{file.relative_to(folder)} is {sign.what}, which is not read: {sign.remedy}"
        if file.name.endswith("bbx_gt.txt"):
            return f"{file.relative_to(folder)} is WIDER FACE's format, which is not read: {_CONVERT}"
        if file.suffix == ".txt" and file.parent.name == "annotations" and _VISDRONE.match(text):
            what = "VisDrone's format, which is not read: convert it to YOLO, as Ultralytics does"
            return f"{file.relative_to(folder)} is {what}"
    if any(part.name == "labelTxt" for part in folders(folder)):
        return "labelTxt is DOTA's format, which is not read: convert it to YOLO, as Ultralytics does"
    if any(part.name == "label_2" for place in (folder, *folders(folder)) for part in folders(place)):
        return f"label_2 is KITTI's format, which is not read: {_CONVERT}"
    return None


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder and of the folders in it, three deep, without pictures of known formats."""
    suffixes = {suffix for sign in _SIGNS for suffix in sign.suffixes} | {".txt"}
    places = [folder]
    for _ in range(4):
        for place in places:
            files = (
                file
                for file in sorted(place.iterdir())
                if not is_leftover(file.name)
                and (file.suffix.lower() in suffixes or ".tfrecord" in file.name.lower())
            )
            yield from (file for _, file in zip(range(_MOST), files, strict=False))
        places = [inner for place in places for inner in folders(place)][:_MOST]


def _head(file: Path) -> str:
    try:
        with open_file(file) as stream:
            return stream.read(_HEAD).decode(errors="replace")
    except OSError:
        return ""
