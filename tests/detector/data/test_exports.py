"""Small exports of label tools, by the public descriptions of their formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import folders
import pytest

from detector.data.check import check, fix, read
from detector.data.findings import summary
from detector.data.layouts import load
from detector.data.records import Annotation, CocoData
from nars.errors import DataError

LABEL = "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n"
XML = """<annotation><folder>x</folder><filename>{file}</filename>
<path>C:\\x\\{file}</path><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>red</name><difficult>0</difficult>
<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>15</ymax></bndbox></object></annotation>"""


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        folders.picture(folder / name, 64, 48, seed=seed + len(str(folder.name)))


def _coco(file: Path, *names: str, **changes: object) -> None:
    content = folders.document(len(names)) | changes
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    _text(file, json.dumps(content))


FILES = ("a.png", "b.png", "c.png", "d.png", "e.png")


def cvat_coco(root: Path) -> None:
    _pictures(root / "images" / "default", *FILES)
    _coco(root / "annotations" / "instances_default.json", *FILES)


def cvat_coco_subsets(root: Path) -> None:
    for part, names in (("Train", FILES[:4]), ("Validation", FILES[4:])):
        _pictures(root / "images" / part, *names)
        _coco(root / "annotations" / f"instances_{part}.json", *names)


def label_studio_coco(root: Path) -> None:
    _pictures(root / "images", *FILES)
    _coco(root / "result.json", *(f"images\\{name}" for name in FILES))


def fiftyone_coco(root: Path) -> None:
    _pictures(root / "data", *FILES)
    _coco(root / "labels.json", *FILES)


def roboflow_coco(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("valid", FILES[4:]), ("test", FILES[:1])):
        _pictures(root / part, *names)
        _coco(root / part / "_annotations.coco.json", *names)


def rectlabel_coco(root: Path) -> None:
    _pictures(root, *FILES)
    _coco(root / "my project.json", *FILES)


def via_coco(root: Path) -> None:
    _pictures(root, *FILES)
    content = folders.document(len(FILES))
    for image, name in zip(content["images"], FILES, strict=True):
        image.update(file_name=name, id=str(image["id"]))
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        corners = [left, top, left + width, top, left + width, top + height, left, top + height]
        annotation.update(
            image_id=str(annotation["image_id"]), segmentation=corners, id=f"{annotation['id']}"
        )
    _text(root / "via_export_coco.json", json.dumps(content))


def labelimg_voc(root: Path) -> None:
    _pictures(root, *FILES)
    for name in FILES:
        _text(root / f"{name[0]}.xml", XML.format(file=name))


def cvat_voc(root: Path) -> None:
    for inner, names in (("one", FILES[:3]), ("two", FILES[:2])):
        _pictures(root / "JPEGImages" / inner, *names)
        for name in names:
            _text(root / "Annotations" / inner / f"{name[0]}.xml", XML.format(file=f"{inner}/{name}"))
    lines = [*(f"one/{name[0]}" for name in FILES[:3]), *(f"two/{name[0]}" for name in FILES[:2])]
    _text(root / "ImageSets" / "Main" / "default.txt", "\n".join(lines))


def _yolo(images: Path, labels: Path, *names: str) -> None:
    _pictures(images, *names)
    for name in names:
        _text(labels / f"{name[0]}.txt", LABEL)


def ultralytics(root: Path) -> None:
    _yolo(root / "images" / "train", root / "labels" / "train", *FILES[:4])
    _yolo(root / "images" / "val", root / "labels" / "val", *FILES[4:])
    _text(root / "coco5.yaml", "path: ../datasets/x\ntrain: images/train\nval: images/val\ntest:\n"
          "names:\n  0: on\n  1: off\n")  # fmt: skip


def roboflow_yolo(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("valid", FILES[4:])):
        _yolo(root / part / "images", root / part / "labels", *names)
    _text(root / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['on', 'off']\n")


def cvat_yolo_11(root: Path) -> None:
    _yolo(root / "obj_train_data", root / "obj_train_data", *FILES)
    _text(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = b/\n")
    _text(root / "obj.names", "on\noff\n")
    _text(root / "train.txt", "".join(f"data/obj_train_data/{name}\n" for name in FILES))


def cvat_ultralytics(root: Path) -> None:
    _yolo(root / "images" / "Train", root / "labels" / "Train", *FILES)
    _text(root / "data.yaml", "Train: Train.txt\nnames: {0: on, 1: off}\npath: .\n")
    _text(root / "Train.txt", "".join(f"data/images/Train/{name}\n" for name in FILES))


def label_studio_yolo(root: Path) -> None:
    _yolo(root / "images", root / "labels", *FILES)
    _text(root / "classes.txt", "on\noff\n")
    _text(root / "notes.json", '{"categories": [{"id": 0, "name": "on"}], "info": {}}')


def labelimg_yolo(root: Path) -> None:
    _yolo(root, root, *FILES)
    _text(root / "classes.txt", "\ufeffon\r\noff\r\n")


def pose(root: Path) -> None:
    ultralytics(root)
    _text(root / "coco5.yaml", (root / "coco5.yaml").read_text() + "kpt_shape: [2, 2]\n")
    for path in root.rglob("labels/*/*.txt"):
        _text(path, "0 0.5 0.5 0.5 0.5 0.9 0.9 0.1 0.1\n1 0.25 0.25 0.25 0.25 0 0 0 0\n")


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


def _sums(data: CocoData) -> tuple[int, int]:
    return sum(len(subset.images) for subset in data.subsets), sum(
        len(subset.annotations) for subset in data.subsets
    )


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.__name__)
def test_exports_are_read_as_they_come(tmp_path: Path, export: Callable[[Path], None]) -> None:
    export(tmp_path)
    images, boxes, classes = EXPORTS[export]
    data, findings = read(tmp_path)
    assert [finding for finding in findings if finding.severity == "error"] == []
    assert (*_sums(data), data.classes) == (images, boxes, classes)
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)
    assert all(part.layout for part in data.parts)


def test_a_test_part_is_left_alone_or_measured_whole(tmp_path: Path) -> None:
    roboflow_coco(tmp_path)
    data = load(tmp_path)
    assert [part.name for part in data.parts] == ["train", "val", "test"]
    alone = load(tmp_path / "test", whole="val")
    assert (len(alone.train.images), len(alone.val.images)) == (0, 1)
    rectlabel_coco(tmp_path / "other")
    assert len(load(tmp_path / "other", whole="val").val.images) == 5
    assert [len(subset.images) for subset in load(tmp_path / "other").subsets] == [4, 1]


def test_listed_test_images_are_never_trained_on(tmp_path: Path) -> None:
    labelimg_voc(tmp_path / "Annotations")
    _text(tmp_path / "ImageSets" / "Main" / "train.txt", "a\nb\n")
    _text(tmp_path / "ImageSets" / "Main" / "test.txt", "c\nd\ne\n")
    data = load(tmp_path)
    assert sorted(Path(image.file).stem for subset in data.subsets for image in subset.images) == ["a", "b"]


def test_a_line_of_a_list_is_a_whole_name(tmp_path: Path) -> None:
    _pictures(tmp_path / "JPEGImages", "a 1.png", "b.png")
    for name in ("a 1", "b"):
        _text(tmp_path / "Annotations" / f"{name}.xml", XML.format(file=f"{name}.png"))
    _text(tmp_path / "ImageSets" / "Main" / "train.txt", "a 1\n")
    _text(tmp_path / "ImageSets" / "Main" / "val.txt", "b  1\n")
    assert [len(subset.images) for subset in load(tmp_path).subsets] == [1, 1]


def test_an_image_is_not_taken_from_another_part(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    (tmp_path / "train" / "1.png").unlink()
    assert summary(check(tmp_path))["image-missing"] == 1


@pytest.mark.parametrize("name", ["predictions.json", "a.zip"])
def test_not_found_says_what_is_there(tmp_path: Path, name: str) -> None:
    _text(tmp_path / name, "{}")
    with pytest.raises(DataError, match=f"no data set found.*there is {name}"):
        load(tmp_path)


Spoil = Callable[[folders.Document], object]

FAULTS: dict[str, tuple[Spoil, str]] = {
    "negative area": (lambda document: document["annotations"][0].update(area=-200.0), "box-area"),
    "area of another box": (lambda document: document["annotations"][0].update(area=50.0), "box-area"),
    "box twice": (
        lambda document: document["annotations"].append(document["annotations"][0] | {"id": 99}),
        "box-duplicate",
    ),
    "the same file again": (
        lambda document: [
            document["images"].append(document["images"][0] | {"id": 99}),
            *(
                document["annotations"].append(row | {"id": 90 + row["id"], "image_id": 99})
                for row in document["annotations"][:2]
            ),
        ],
        "file-duplicate",
    ),
    "corners": (
        lambda document: [
            row.update(bbox=[left, top, left + 20, top + 10], area=200)
            for row in document["annotations"]
            for left, top, *_ in [row["bbox"]]
        ],
        "box-corners",
    ),
    "fractions": (
        lambda document: [
            row.update(
                bbox=[left / 64, top / 48, width / 64, height / 48],
                area=width * height / 64 / 48,
                segmentation=[[left / 64, top / 48, (left + width) / 64, top / 48, left / 64, 0.9]],
            )
            for row in document["annotations"]
            for left, top, width, height in [row["bbox"]]
        ],
        "box-fractions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_doctor_finds_is_mended(tmp_path: Path, name: str) -> None:
    spoil, code = FAULTS[name]
    folder = folders.coco(tmp_path / "data", spoil)
    assert set(summary(check(folder))) == {code}
    assert fix(folder, tmp_path / "new")
    assert check(tmp_path / "new") == []


def test_fractions_of_images_become_pixels(tmp_path: Path) -> None:
    whole, folder = folders.coco(tmp_path / "pixels"), folders.coco(tmp_path / "data", FAULTS["fractions"][0])
    fix(folder, tmp_path / "new")
    expected, mended = load(whole).train.annotations, load(tmp_path / "new").train.annotations
    for one, other in zip(expected, mended, strict=True):
        assert other.box == pytest.approx(one.box)
        assert other.area == pytest.approx(one.area)
    assert mended[0].segmentation == [pytest.approx([*_corner(mended[0]), mended[0].box[0], 0.9 * 48])]


def _corner(annotation: Annotation) -> list[float]:
    left, top, width, _ = annotation.box
    return [left, top, left + width, top]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("Cup", "cup"), "category-alike"),
        (("cup", "cup"), "category-alike"),
        (("traffic light", "Traffic_Light"), "category-alike"),
        (("cup", "spoon"), None),
    ],
)
def test_names_that_are_alike(tmp_path: Path, names: tuple[str, str], code: str | None) -> None:
    for split, count in (("train", 4), ("val", 2)):
        content = folders.document(count)
        for row, title in zip(content["categories"], names, strict=True):
            row["name"] = title
        for number in range(1, count + 1):
            folders.picture(tmp_path / split / f"{number}.png", 64, 48, seed=number + 10 * count)
        _text(tmp_path / split / "annotations.json", json.dumps(content))
    assert set(summary(check(tmp_path))) == ({code} if code else set())


def test_no_categories_is_one_finding(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path, lambda document: document.pop("categories"))
    assert summary(check(folder))["categories-missing"] == 1
    assert "category-unknown" not in summary(check(folder))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0,0.5,0.5,0.1,0.1", "commas"),
        ("0 0,5 0,5 0,1 0,1", "commas"),
        ("0 320 240 50 40", "no fraction of the image"),
        ("0 0.5 0.5 0.1 0.1 0.9", "confidence"),
        ("cup 0.5 0.5 0.1 0.1", "class is 'cup'"),
        ("0.5 0.5 0.5 0.1 0.1", "class is '0.5'"),
    ],
)
def test_lines_that_are_no_labels_are_named(tmp_path: Path, line: str, words: str) -> None:
    labelimg_yolo(tmp_path)
    _text(tmp_path / "a.txt", line)
    (finding,) = [finding for finding in check(tmp_path) if finding.code == "record-malformed"]
    assert words in finding.message
    assert "line 1" in finding.message


def voc_devkit(root: Path) -> None:
    home = root / "VOCdevkit" / "VOC2012"
    _pictures(home / "JPEGImages", *FILES)
    for name in FILES:
        _text(home / "Annotations" / f"{Path(name).stem}.xml", XML.format(file=name))
    lists = home / "ImageSets" / "Main"
    for name, text in (("train", "a\nb\nc\nd\n"), ("val", "e\n"), ("cat_train", "a  1\nb -1\n")):
        _text(lists / f"{name}.txt", text)


def lvis(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        _pictures(root / f"{part}2017", *names)
        _coco(root / f"lvis_v1_{part}.json", *names)
        document = json.loads((root / f"lvis_v1_{part}.json").read_text())
        for image in document["images"]:
            image["coco_url"] = f"http://images.cocodataset.org/{part}2017/{image.pop('file_name')}"
        _text(root / f"lvis_v1_{part}.json", json.dumps(document))


def autogluon(root: Path) -> None:
    _pictures(root / "images", *FILES)
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        _coco(root / "annotations" / f"{part}_labels.json", *(f"images/{name}" for name in names))


def supervisely_coco(root: Path) -> None:
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        _pictures(root / part / "images", *names)
        _coco(root / part / "annotations" / "instances.json", *names)


def vott_voc(root: Path) -> None:
    _pictures(root / "JPEGImages", *FILES)
    for name in FILES:
        _text(root / "Annotations" / f"{Path(name).stem}.xml", XML.format(file=name))
    lists = root / "ImageSets" / "Main"
    for tag in ("cat", "dog"):
        _text(lists / f"{tag}_train.txt", "a 1\nb -1\nc 1\nd -1\n")
        _text(lists / f"{tag}_val.txt", "e 1\n")


def listed_yolo(root: Path) -> None:
    _yolo(root / "images", root / "labels", *FILES)
    _text(root / "data.yaml", "train: /content/x/train.txt\nval: /content/x/val.txt\nnames: [on, off]\n")
    for part, names in (("train", FILES[:4]), ("val", FILES[4:])):
        _text(root / f"{part}.txt", "".join(f"/content/x/images/{name}\n" for name in names))


@pytest.mark.parametrize("export", [voc_devkit, lvis, autogluon, supervisely_coco, vott_voc, listed_yolo])
def test_originals_are_read_as_they_come(tmp_path: Path, export: Callable[[Path], None]) -> None:
    export(tmp_path)
    data = load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [4, 1]
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)


def test_labels_of_no_part_are_found_once(tmp_path: Path) -> None:
    listed_yolo(tmp_path)
    _text(tmp_path / "labels" / "z.txt", LABEL)
    _text(tmp_path / "labels" / "._z.txt", "a Mac's")
    strays = [finding for finding in check(tmp_path) if finding.code == "annotation-without-image"]
    assert [Path(finding.file).name for finding in strays] == ["z.txt"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train/a.json", '{"shapes": [], "imagePath": "a.png"}', "LabelMe's format.*labelme2coco"),
        ("train/a.json", '[{"image": "a", "annotations": [{"coordinates": {}}]}]', "CreateML"),
        ("via.csv", "filename,region_shape_attributes\n", "VIA's CSV, which is not read: export as COCO"),
        ("train/labels/detections.csv", "ImageID,LabelName,XMin\n", "Open Images"),
        ("train/_annotations.csv", "filename,class,xmin,ymin,xmax,ymax\n", "table of boxes.*in Roboflow"),
        ("x.ndjson", '{"file": "a.jpg", "annotations": {}}', "Ultralytics HUB.*as YOLO"),
        ("output.manifest", '{"source-ref": "s3://b/a.jpg"}', "SageMaker Ground Truth"),
        ("labels.csv", "TRAIN,gs://b/a.jpg,cat,0.1,0.1,,,0.4,0.4,,", "Vertex AI"),
        ("train.csv", "image_id,width,height,bbox,source\n", r"table of boxes \(as on Kaggle\)"),
        ("training/label_2/000000.txt", "Car 0.00 0 -1.58 5 6 20 22", "label_2 is KITTI's format"),
        ("labelTxt/a.txt", "4 4 24 4 24 24 4 24 plane 0", "DOTA's format.*convert it to YOLO"),
        ("export.ndjson", '{"data_row": {}}', "Labelbox"),
        ("ds/ann/a.json", '{"objects": [{"classTitle": "cat"}]}', "Supervisely.*Export to COCO"),
        ("1.0.0/x.tfrecord-00000-of-00001", "x", "is a TFRecord"),
        ("annotations.xml", "<annotations><image/></annotations>", "CVAT's own XML"),
        (
            "annotations/panoptic_train.json",
            '{"images": [], "annotations": [{"segments_info": []}]}',
            "panoptic format, which is not read: give COCO's instances",
        ),
    ],
)  # fmt: skip
def test_formats_that_are_not_read_are_called_by_name(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    _text(tmp_path / name, text)
    with pytest.raises(DataError, match=words) as caught:
        check(tmp_path)
    assert "\n" not in str(caught.value)
