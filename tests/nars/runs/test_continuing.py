"""A command that does not continue its run's search is refused before any work, with a way on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from stub_task import StubTask

from nars import tasks
from nars.errors import DataError, RunError
from nars.runs.request import SearchRequest
from nars.runs.run import start_run
from nars.searching.configure import configure


def never(*_: object, **__: object) -> NoReturn:
    raise AssertionError("this is too late")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (
            {"task": "classification"},
            "task was 'stub', now 'classification': --task stub restores it .choose",
        ),
        (
            {"task": "detection", "metric": "ap"},
            "task was 'stub', now 'detection': --task stub restores it .ch",
        ),
        ({"metric": "macro_f1"}, "metric was accuracy, now macro_f1"),
        ({"objectives": "accuracy,macs"}, "objectives were accuracy, now accuracy, macs"),
        ({"max_macs": 1e6}, "limits were none, now macs 1000000"),
        ({"sampler": "tpe"}, "sampler was 'nars', now 'tpe'"),
        ({"seed": 3}, "seed was 0, now 3"),
        ({"drop_bad": True}, "drop_bad was False, now True"),
        ({"init": "efficientnet_lite0"}, "init was 'none', now 'efficientnet_lite0'"),
    ],
)
def test_another_setting_is_refused_before_data_are_read(
    settings: dict[str, Any],
    shown: str,
    stub: type[StubTask],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, run = SearchRequest(task="stub", data="here", objectives=("accuracy",)), tmp_path / "run"
    start_run(run, configure(request.replace(init="none")), None)
    monkeypatch.setattr(tasks, "load", never)
    if "metric" in settings:
        settings = settings | {"objectives": ()}
    with pytest.raises(RunError, match=rf"run holds another search: {shown}") as caught:
        configure(request.replace(**settings), run)
    assert "(choose another --run)" in str(caught.value)
    assert ("--warm-start" in str(caught.value)) == ("drop_bad" in settings)


def test_other_data_are_refused_before_the_parent_is_read(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, run = SearchRequest(task="stub", data="here", init="none"), tmp_path / "run"
    start_run(run, configure(request).replace(init="efficientnet_lite0"), None)
    monkeypatch.setattr(stub, "fingerprint", "stub:changed")
    monkeypatch.setattr(stub, "parent_called", never)
    with pytest.raises(RunError, match="the content of here has changed") as caught:
        configure(request.replace(init="efficientnet_lite0"), run)
    way = f"--warm-start {run} lets the other learn from this one, once that has 8 trials"
    assert str(caught.value).endswith(f"(choose another --run); {way}")


def test_a_photo_that_broke_in_a_begun_run_leaves_a_way_on(tmp_path: Path) -> None:
    photos, run = tmp_path / "photos", tmp_path / "run"
    for number in range(20):
        file = photos / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (number, 0, 9)).save(file)
    request = SearchRequest(data=photos, space="micro", init="none")
    start_run(run, configure(request), None)
    photo = next(photos.rglob("*.png"))
    content = photo.read_bytes()
    photo.write_bytes(content[:30])
    with pytest.raises(DataError, match=r"cannot read image .*--drop-bad$"):
        configure(request)  # nothing was begun with it
    with pytest.raises(DataError) as caught:
        configure(request, run)
    problem, way = str(caught.value).split("; ")  # the remedy of a new search is not this one's
    assert problem.startswith("cannot read image")
    assert way == (
        f"mend the data to continue {run}, or start another search with --drop-bad --run NEW "
        f"(--warm-start {run} lets the other learn from this one, once that has 8 trials)"
    )
    with pytest.raises(DataError, match=rf"mend the data to continue {run}, or start .* with --run NEW \("):
        configure(request.replace(data=tmp_path / "gone"), run)
    new = configure(request.replace(drop_bad=True), tmp_path / "new")
    assert new.drop_bad
    photo.write_bytes(content)
    assert configure(request, run).data_fingerprint != new.data_fingerprint
