"""The commands of each case of `experiments.cases`, and what is right.

Commands run in the copy of the case's folder, with ``$NARS``, ``$PYTHON`` and ``$SHARED`` set. Every
command that reads data prints a line per part, such as

    train: 5 images, 10 boxes, 2 classes (red, blue); COCO, annotations/instances_default.json

which the rules read. A traceback of Python is wrong in every case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["CASES", "Case", "Outcome"]

_PART = re.compile(
    r"^(?P<part>train|val|test|all): (?P<images>[\d,]+) images?(?:, (?P<boxes>[\d,]+) box(?:es)?)?"
    r"(?:, (?P<classes>[\d,]+) class(?:es)?(?: \((?P<names>.*?)\))?)?(?=;|$)",
    re.MULTILINE,
)
"""A line about a part of the data."""


class Outcome(NamedTuple):
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams."""
        return f"{self.out}\n{self.err}"

    def parts(self) -> Iterator[re.Match[str]]:
        """The lines about the parts of the data."""
        return _PART.finditer(self.text)


Rule = Callable[[Outcome], str | None]
"""Says what is wrong with an outcome, None if nothing is."""


class Case(NamedTuple):
    """A kind of fault, commands and the rules for the outcome of each."""

    kind: str
    commands: Sequence[str]
    rules: Sequence[Rule]

    def fault(self, outcomes: Sequence[Outcome]) -> str | None:
        """The first fault of the outcomes."""
        for outcome, rule in zip(outcomes, self.rules, strict=True):
            if "Traceback (most recent call last)" in outcome.text:
                return "a traceback"
            if outcome.code == -1:
                return outcome.err
            if fault := rule(outcome):
                return fault
        return None


def _every(*rules: Rule) -> Rule:
    return lambda outcome: next((fault for rule in rules if (fault := rule(outcome))), None)


def _either(*rules: Rule) -> Rule:
    def fault(outcome: Outcome) -> str | None:
        faults = [rule(outcome) for rule in rules]
        return None if None in faults else f"neither: {'; nor: '.join(map(str, faults))}"

    return fault


def _exits(code: int) -> Rule:
    return lambda outcome: None if outcome.code == code else f"exit code {outcome.code}, expected {code}"


def _refuses(outcome: Outcome) -> str | None:
    """A refusal is one line of nars on standard error."""
    lines = [line for line in outcome.err.splitlines() if line.startswith(("nars: ", "Error: "))]
    return None if outcome.code and lines else f"no refusal: exit code {outcome.code}"


def _says(*patterns: str) -> Rule:
    def fault(outcome: Outcome) -> str | None:
        text = " ".join(outcome.text.split())  # however lines are broken
        return next((f"does not say {at!r}" for at in patterns if not re.search(at, text, re.I)), None)

    return fault


def _never(*patterns: str) -> Rule:
    def fault(outcome: Outcome) -> str | None:
        return next((f"says {at!r}" for at in patterns if re.search(at, outcome.text)), None)

    return fault


def _reads(
    images: int | None = None,
    boxes: int | None = None,
    classes: int | None = None,
    parts: str | None = None,
    names: str | None = None,
) -> Rule:
    """Expectations of the sums over the lines about the parts."""

    def fault(outcome: Outcome) -> str | None:
        lines = list(outcome.parts())
        if outcome.code not in (0, 2) or not lines:
            return f"no line about a part (exit code {outcome.code})"
        for key, expected in (("images", images), ("boxes", boxes)):
            total = sum(int((line[key] or "0").replace(",", "")) for line in lines)
            if expected is not None and total != expected:
                return f"{total} {key}, expected {expected}"
        there = {line["classes"] for line in lines}
        if classes is not None and there != {str(classes)}:
            return f"{there} classes, expected {classes}"
        if names is not None and {line["names"] for line in lines} != {names}:
            return f"classes {lines[0]['names']}, expected {names}"
        found = " ".join(line["part"] for line in lines)
        return f"parts {found}, expected {parts}" if parts is not None and found != parts else None

    return fault


def _clean(images: int, boxes: int) -> Rule:
    """Data without errors, of so many images and boxes."""
    return _every(_exits(0), _reads(images, boxes))


def _check(kind: str, rule: Rule, name: str = ".") -> Case:
    """The rule of a data set that is examined, in the folder `name` of the case, `.` for the case's own."""
    return Case(kind, [f"$NARS data check {name}"], [rule])


def _describe(kind: str, rule: Rule) -> Case:
    return Case(kind, ["$NARS data --data ."], [rule])


def _script(kind: str, rule: Rule, command: str = "./run.sh") -> Case:
    return Case(kind, [command], [rule])


_LINKS = 'for at in set/* set/*/*; do [ -f $at ] && ln -sfn "$(cat $at)" $at; done;'
"""Makes the links of a folder that was copied by something that wrote their targets as text."""

_MOVED = "sed -i 's/nars[.]weights/nars.networks.weights/' run.sh;"
"""Lets a script that was written before a module moved import it from its place."""

_TRAIN = "$NARS detect train $SHARED/tiny.yaml --epochs 1 -o OUT --data"
_EVALUATE = "$NARS detect evaluate $SHARED/W_redblue.pt --data"
_CLASSIFY = "$NARS evaluate $SHARED/W_shapes.pt --data"
_THREE = "box, disc, tri"


def _named(outcome: Outcome) -> str | None:
    """Only the images of train.txt are in the mended copy."""
    names = set(re.findall(r"NEW/\w+/\S*?([^/\s]+)\.jpg", outcome.out))
    wrong = {
        name for name in re.findall(r"NEW/train/\S*?([^/\s]+)\.jpg", outcome.out) if re.match(r"im05\d", name)
    }
    return f"trains on {', '.join(sorted(wrong))}" if wrong else None if names else "no copy"


def _last_lines(count: int, pattern: str) -> Rule:
    """Exactly so many of the lines match."""

    def fault(outcome: Outcome) -> str | None:
        lines = [line for line in outcome.text.splitlines() if re.search(pattern, line)]
        return None if len(lines) == count else f"{len(lines)} lines of {pattern!r}, expected {count}"

    return fault


_WHAT_IS_THERE = {
    "cls_capital_splits": _describe(
        "K1",
        _every(_exits(0), _reads(96, classes=3, parts="train val test", names=_THREE)),
    ),
    "cls_training_validation": _describe(
        "K1",
        _either(_every(_exits(0), _reads(78, classes=3, names=_THREE)), _every(_refuses, _says("training"))),
    ),
    "cls_valid": _describe(
        "K1", _every(_exits(0), _reads(96, classes=3, parts="train val test", names=_THREE))
    ),
    "coco_test_folder": Case("K1", [f"{_EVALUATE} test"], [_every(_exits(0), _reads(10))]),
    "data_name_digits": _script(
        "K1",
        _every(
            _exits(0),
            _either(
                _reads(120, classes=3), _says("digits.*(embedded|come with nars|comes with nars).*folder")
            ),
        ),
    ),
    "yolo_images_above": _check("K1", _clean(9, 18), "images/set"),
    "voc_train_test_lists": Case(
        "K2",
        ["$NARS data check . --fix NEW; find NEW -name '*.jpg'"],
        [_every(_exits(0), _named)],
    ),
    "yolo_list_in_folder": _check("K2", _clean(6, 12)),
    "coco_cvat_default": _check("K3", _clean(6, 12)),
    "coco_labelstudio": _check("K3", _clean(6, 12)),
    "yolo_labelimg_flat": _check("K3", _clean(6, 12)),
    "yolo_cvat_darknet": _check("K3", _either(_clean(6, 12), _every(_refuses, _says(r"obj\.data")))),
    "yolo_cvat_ultralytics": _check("K3", _clean(6, 12)),
    "voc_upper_xml": _check("K3", _every(_exits(0), _reads(6))),
    "yolo_labelstudio": _check("K3", _clean(6, 12)),
    "coco_labelstudio_windows": _check("K4", _clean(6, 12)),
    "yolo_windows_paths": _check("K4", _every(_clean(9, 18), _says("train: 6 images", "val: 3 images"))),
    "coco_absolute_names": _check("K4", _either(_clean(6, 12), _last_lines(1, "another machine"))),
    "coco_case_names": _check("K4", _either(_clean(6, 12), _says(r"IMG_00\.JPG"))),
    "cls_macosx": _describe("K4", _every(_exits(0), _reads(36, classes=3, names=_THREE))),
    "cls_symlinks": Case(
        "K4", [f"{_LINKS} $NARS data --data set"], [_every(_exits(0), _reads(24, classes=2))]
    ),
}

_TEXT_AND_NUMBERS = {
    "yolo_bom": _check("K5", _every(_clean(6, 12), _reads(names="red, blue"))),
    "yolo_gbk_classes": _check(
        "K5",
        _either(_every(_refuses, _says(r"classes\.txt.*byte"), _last_lines(1, "classes.txt")), _clean(6, 12)),
    ),
    "voc_gbk": _check("K5", _every(_exits(0), _reads(6), _says("猫", "狗"))),
    "cls_latin1_names": _describe(
        "K5", _either(_every(_exits(0), _reads(24)), _every(_refuses, _says("caf")))
    ),
    "cls_unicode": Case(
        "K5",
        [
            f"{before} $NARS train $SHARED/tiny.yaml --data . --epochs 1 -o w.pt"
            " && $NARS evaluate w.pt --data ."
            for before in ("", "export PYTHONIOENCODING=cp1252;")
        ],
        [_every(_exits(0), _says("猫 café", "<i>")), _every(_exits(0), _never("UnicodeEncodeError"))],
    ),
    "yolo_names_yes_no": Case(
        "K7",
        [f"{_TRAIN} ."],
        [
            _every(
                _never("False", "True"),
                _either(_every(_exits(0), _says(r"\(no, yes\)")), _every(_refuses, _says("quote"))),
            )
        ],
    ),
    "space_lr_text": Case(
        "K7",
        [
            "$NARS search --space space.yaml --data $SHARED/shapes --dry-run",
            "sed -i 's/1e-1/fast/' space.yaml;"
            " $NARS search --space space.yaml --data $SHARED/shapes --dry-run",
        ],
        [_exits(0), _every(_refuses, _says(r"space\.yaml.*lr.*fast"))],
    ),
    "coco_float_ids": _check(
        "K7", _either(_clean(6, 12), _every(_exits(2), _says("image_id"), _last_lines(1, r"\b1 errors? in")))
    ),
    "coco_text_ids": _check(
        "K7", _either(_clean(6, 12), _every(_exits(2), _last_lines(1, r"\b1 errors? in"), _says(r"\bid\b")))
    ),
    "yolo_float_class": _check("K7", _either(_clean(6, 12), _every(_exits(2), _never("invalid literal")))),
    "yolo_commas": _check("K7", _every(_exits(2), _says("line 1", "comma"), _never("invalid literal"))),
    "voc_numbers_comma": _check("K7", _every(_exits(2), _says("is not a number: '6,0'"))),
}

_DOCTOR = {
    "yolo_pose_flat": Case(
        "K8",
        ["$NARS data check . --fix NEW; cat NEW/*/annotations.json"],
        [
            _either(
                _every(_exits(0), _never('"segmentation"'), _says(r'"bbox":')),
                _every(_refuses, _says("pose|keypoint|kpt_shape")),
            )
        ],
    ),
    "coco_negative_area": Case(
        "K8",
        ["$NARS data check .", f"{_EVALUATE} ."],
        [_says("negative"), _either(_says("negative"), _refuses)],
    ),
    "coco_duplicate_boxes": _check("K8", _says("box-duplicate|duplicate.*box")),
    "coco_bbox_xyxy": _check("K8", _says("area")),
    "coco_no_bbox": _check("K8", _either(_clean(6, 12), _says("segmentation|polygon"))),
    "voc_case": _check("K8", _says("'?red'?.*'?RED'?", "case")),
    "cls_test_lacks_class": Case(
        "K8",
        [f"{_CLASSIFY} ."],
        [_either(_every(_exits(0), _reads(20), _says("disc")), _every(_refuses, _says("disc")))],
    ),
    "yolo_pixels": _check("K8", _every(_exits(2), _says("fraction"))),
    "coco_no_categories": _check(
        "K8", _every(_exits(2), _says("categories"), _last_lines(1, r"\b1 errors? in"))
    ),
    "voc_swapped": _check("K8", _every(_exits(2), _says(r"im000\.(xml|jpg)"))),
    "cls_one_image_class": Case(
        "K8",
        ["$NARS train $SHARED/tiny.yaml --data . --epochs 1 -o w.pt"],
        [_every(_exits(0), _reads(25, classes=3))],
    ),
    "cls_jfif": _describe("K9", _every(_exits(0), _either(_reads(72), _says("passed over")))),
    "cls_odd_images": Case(
        "K9",
        ["$NARS data --data . --drop-bad"],
        [_every(_exits(0), _says(r"zero\.jpg", r"page\.jpg", r"trunc\.jpg"), _last_lines(3, "left out: "))],
    ),
    "cls_huge_image": _describe(
        "K9",
        _every(
            _never("Warning"),
            _either(
                _every(_exits(0), _reads(17)),
                _every(_refuses, _says("scan.png.*pixels.*(smaller|resiz|scal)")),
            ),
        ),
    ),
}


def _same_trials(outcome: Outcome) -> str | None:
    """Both counts of lines of the exported trials are the same, or the second is a refusal."""
    counts = [int(line) for line in outcome.out.splitlines() if line.isdecimal()]
    if len(counts) < 2 or counts[0] < 2:
        return f"counts {counts}"
    return None if counts[1] in (counts[0], 0) else f"{counts[0]} lines of trials, then {counts[1]}"


def _one_run(outcome: Outcome) -> str | None:
    """Only one folder is listed after the three results."""
    folders = [line for line in outcome.out.splitlines() if re.fullmatch(r"[\w.-]+", line)]
    return None if len(folders) == 1 else f"{len(folders)} run folders"


_BORDER = {
    "coco_markup_classes": Case(
        "K6", [f"{_TRAIN} ."], [_every(_exits(0), _says(r"sedan \[red\]", r"\[/van\]"))]
    ),
    "coco_markup_names": Case("K6", ["COLUMNS=200 $NARS data check ."], [_says(r"im\[copy\] 00\.jpg")]),
    "coco_cjk_classes": Case(
        "K6",
        [f"{_TRAIN} . && $NARS detect evaluate OUT/weights/best.pt --data . -o PICTURES"],
        [_every(_exits(0), _never("Glyph", "UserWarning"))],
    ),
    "search_relative_sqlite": _script(
        "K10",
        _every(
            _never(r"(?m)^r\.db$"),
            _either(_every(_exits(0), _same_trials), _every(_refuses, _says(r"repeat --storage \S*r\.db"))),
        ),
    ),
    "search_data_spelling": _script("K10", _every(_exits(0), _one_run)),
    "next_step_hint": _script(
        "K10",
        _every(_exits(0), _says("--data|-o", "'box', 'disc', 'tri'")),
        f"{_MOVED} bash run.sh",
    ),
    "export_cls_normalisation": _script("K11", _every(_exits(0), _says("30 of 30")), "$PYTHON run.py"),
    "weights_timm_args": Case(
        "K11",
        [
            f"$NARS detect train $SHARED/tiny.yaml --weights {file} --data $SHARED/redblue --epochs 1 -o OUT"
            for file in ("args.pt", "scalar.pt")
        ],
        [_either(_exits(0), _every(_refuses, _says("save")))] * 2,
    ),
    "optuna_partial_fixed": _script("K11", _every(_exits(0), _says(r"\{0\.1\}")), "$PYTHON run.py"),
    "coco_dense": Case(
        "K12",
        [f"{_TRAIN} . --detections 300 --test-proposals 300"],
        [_every(_exits(0), _says("100 detections"))],
    ),
    "predict_own_output": _script(
        "K13",
        _every(
            _last_lines(2, r"im200\d\.png$"),
            _either(_says(r"-\S+ \d+ .* sheet\.jpg"), _says("nars: .*sheet.jpg")),
        ),
    ),
}


CASES: dict[str, Case] = _WHAT_IS_THERE | _TEXT_AND_NUMBERS | _DOCTOR | _BORDER
"""The cases by the names of their folders."""
