"""Small data sets as label tools export them, by the public descriptions of their formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import folders

__all__ = [
    "EXPORTS",
    "LABEL",
    "ORIGINALS",
    "XML",
    "labelimg_voc",
    "labelimg_yolo",
    "listed_yolo",
    "pictures",
    "rectlabel_coco",
    "roboflow_coco",
    "text_file",
]


LABEL = "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n"


XML = """<annotation><folder>x</folder><filename>{file}</filename>
<path>C:\\x\\{file}</path><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>red</name><difficult>0</difficult>
<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>15</ymax></bndbox></object></annotation>"""


def text_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        folders.picture(folder / name, 64, 48, seed=seed + len(str(folder.name)))


def _coco(file: Path, *names: str, **changes: object) -> None:
    content = folders.document(len(names)) | changes
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    text_file(file, json.dumps(content))


FILES = ("a.png", "b.png", "c.png", "d.png", "e.png")


def cvat_coco(root: Path) -> None:
    pictures(root / "images" / "default", *FILES)
    _coco(root / "annotations" / "instances_default.json", *FILES)


def cvat_coco_subsets(root: Path) -> None:
    for part, names in (("Train", FILES[:4]), ("Validation", FILES[4:])):
        pictures(root / "images" / part, *names)
        _coco(root / "annotations" / f"instances_{part}.json", *names)


def label_studio_coco(root: Path) -> None:
    pictures(root / "images", *FILES)
    _coco(root / "result.json", *(f"images\\{name}" for name in FILES))


def fiftyone_coco(root: Path) -> None:
    pictures(root / "data", *FILES)
    _coco(root / "labels.json", *FILES)


def roboflow_coco(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("valid", FILES[4:]), ("test", FILES[:1])):
        pictures(root / part, *names)
        _coco(root / part / "_annotations.coco.json", *names)


def rectlabel_coco(root: Path) -> None:
    pictures(root, *FILES)
    _coco(root / "my project.json", *FILES)


def via_coco(root: Path) -> None:
    pictures(root, *FILES)
    content = folders.document(len(FILES))
    for image, name in zip(content["images"], FILES, strict=True):
        image.update(file_name=name, id=str(image["id"]))
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        corners = [left, top, left + width, top, left + width, top + height, left, top + height]
        annotation.update(
            image_id=str(annotation["image_id"]), segmentation=corners, id=f"{annotation['id']}"
        )
    text_file(root / "via_export_coco.json", json.dumps(content))


def labelimg_voc(root: Path) -> None:
    pictures(root, *FILES)
    for name in FILES:
        text_file(root / f"{name[0]}.xml", XML.format(file=name))


def cvat_voc(root: Path) -> None:
    for inner, names in (("one", FILES[:3]), ("two", FILES[:2])):
        pictures(root / "JPEGImages" / inner, *names)
        for name in names:
            text_file(root / "Annotations" / inner / f"{name[0]}.xml", XML.format(file=f"{inner}/{name}"))
    lines = [*(f"one/{name[0]}" for name in FILES[:3]), *(f"two/{name[0]}" for name in FILES[:2])]
    text_file(root / "ImageSets" / "Main" / "default.txt", "\n".join(lines))


def _yolo(images: Path, labels: Path, *names: str) -> None:
    pictures(images, *names)
    for name in names:
        text_file(labels / f"{name[0]}.txt", LABEL)


def ultralytics(root: Path) -> None:
    _yolo(root / "images" / "train", root / "labels" / "train", *FILES[:4])
    _yolo(root / "images" / "val", root / "labels" / "val", *FILES[4:])
    text_file(root / "coco5.yaml", "path: ../datasets/x\ntrain: images/train\nval: images/val\ntest:\n"
          "names:\n  0: on\n  1: off\n")  # fmt: skip


def roboflow_yolo(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("valid", FILES[4:])):
        _yolo(root / part / "images", root / part / "labels", *names)
    text_file(
        root / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['on', 'off']\n"
    )


def cvat_yolo_11(root: Path) -> None:
    _yolo(root / "obj_train_data", root / "obj_train_data", *FILES)
    text_file(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = b/\n")
    text_file(root / "obj.names", "on\noff\n")
    text_file(root / "train.txt", "".join(f"data/obj_train_data/{name}\n" for name in FILES))


def cvat_ultralytics(root: Path) -> None:
    _yolo(root / "images" / "Train", root / "labels" / "Train", *FILES)
    text_file(root / "data.yaml", "Train: Train.txt\nnames: {0: on, 1: off}\npath: .\n")
    text_file(root / "Train.txt", "".join(f"data/images/Train/{name}\n" for name in FILES))


def label_studio_yolo(root: Path) -> None:
    _yolo(root / "images", root / "labels", *FILES)
    text_file(root / "classes.txt", "on\noff\n")
    text_file(root / "notes.json", '{"categories": [{"id": 0, "name": "on"}], "info": {}}')


def labelimg_yolo(root: Path) -> None:
    _yolo(root, root, *FILES)
    text_file(root / "classes.txt", "\ufeffon\r\noff\r\n")


def pose(root: Path) -> None:
    ultralytics(root)
    text_file(root / "coco5.yaml", (root / "coco5.yaml").read_text() + "kpt_shape: [2, 2]\n")
    for path in root.rglob("labels/*/*.txt"):
        text_file(path, "0 0.5 0.5 0.5 0.5 0.9 0.9 0.1 0.1\n1 0.25 0.25 0.25 0.25 0 0 0 0\n")


def voc_devkit(root: Path) -> None:
    home = root / "VOCdevkit" / "VOC2012"
    pictures(home / "JPEGImages", *FILES)
    for name in FILES:
        text_file(home / "Annotations" / f"{Path(name).stem}.xml", XML.format(file=name))
    lists = home / "ImageSets" / "Main"
    for name, text in (("train", "a\nb\nc\nd\n"), ("val", "e\n"), ("cat_train", "a  1\nb -1\n")):
        text_file(lists / f"{name}.txt", text)


def lvis(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        pictures(root / f"{part}2017", *names)
        _coco(root / f"lvis_v1_{part}.json", *names)
        document = json.loads((root / f"lvis_v1_{part}.json").read_text())
        for image in document["images"]:
            image["coco_url"] = f"http://images.cocodataset.org/{part}2017/{image.pop('file_name')}"
        text_file(root / f"lvis_v1_{part}.json", json.dumps(document))


def autogluon(root: Path) -> None:
    pictures(root / "images", *FILES)
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        _coco(root / "annotations" / f"{part}_labels.json", *(f"images/{name}" for name in names))


def supervisely_coco(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        pictures(root / part / "images", *names)
        _coco(root / part / "annotations" / "instances.json", *names)


def vott_voc(root: Path) -> None:
    pictures(root / "JPEGImages", *FILES)
    for name in FILES:
        text_file(root / "Annotations" / f"{Path(name).stem}.xml", XML.format(file=name))
    lists = root / "ImageSets" / "Main"
    for tag in ("cat", "dog"):
        text_file(lists / f"{tag}_train.txt", "a 1\nb -1\nc 1\nd -1\n")
        text_file(lists / f"{tag}_val.txt", "e 1\n")


def listed_yolo(root: Path) -> None:
    _yolo(root / "images", root / "labels", *FILES)
    text_file(root / "data.yaml", "train: /content/x/train.txt\nval: /content/x/val.txt\nnames: [on, off]\n")
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        text_file(root / f"{part}.txt", "".join(f"/content/x/images/{name}\n" for name in names))


EXPORTS: dict[Callable[[Path], None], tuple[int, int, tuple[str, ...]]] = {
    cvat_coco: (5, 10, ("spoon", "cup")),
    cvat_coco_subsets: (5, 10, ("spoon", "cup")),
    label_studio_coco: (5, 10, ("spoon", "cup")),
    fiftyone_coco: (5, 10, ("spoon", "cup")),
    roboflow_coco: (5, 10, ("spoon", "cup")),
    rectlabel_coco: (5, 10, ("spoon", "cup")),
    via_coco: (5, 10, ("spoon", "cup")),
    labelimg_voc: (5, 5, ("red",)),
    cvat_voc: (5, 5, ("red",)),
    ultralytics: (5, 10, ("on", "off")),
    roboflow_yolo: (5, 10, ("on", "off")),
    cvat_yolo_11: (5, 10, ("on", "off")),
    cvat_ultralytics: (5, 10, ("on", "off")),
    label_studio_yolo: (5, 10, ("on", "off")),
    labelimg_yolo: (5, 10, ("on", "off")),
    pose: (5, 10, ("on", "off")),
}
"""Each export of a tool, with its images, boxes and classes."""

ORIGINALS = (voc_devkit, lvis, autogluon, supervisely_coco, vott_voc, listed_yolo)
"""Layouts of four images to train on and one to validate, as data sets' authors and other tools have them."""
