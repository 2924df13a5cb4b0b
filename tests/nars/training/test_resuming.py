"""A training that was killed goes on where it was, and another one does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shades import ARCHITECTURE, CPU, EVERYTHING, OF_PHOTOS, OTHERS_OF_PHOTOS, SIDE, run, same
from torch import nn

from nars.data import ImageData
from nars.errors import RunError
from nars.spec import Recipe
from nars.tensors import read_tensors, write_tensors
from nars.training.loop import Outputs, Progress, train


@pytest.mark.parametrize(
    "recipe", [EVERYTHING, OF_PHOTOS, OTHERS_OF_PHOTOS, Recipe(epochs=3, optimizer="adamw", lr=0.005)]
)
@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_resumes_to_the_same_bits(data: ImageData, tmp_path: Path, recipe: Recipe, killed_after: int) -> None:
    class KilledError(Exception):
        pass

    def on_epoch(progress: Progress) -> bool:
        if progress.epoch == killed_after:
            raise KilledError
        return True

    path = tmp_path / "checkpoint"
    with pytest.raises(KilledError):
        run(data, recipe, checkpoint=path, on_epoch=on_epoch)
    seen: list[int] = []
    resumed = run(data, recipe, checkpoint=path, on_epoch=lambda p: seen.append(p.epoch) is None)
    straight = run(data, recipe)
    assert seen == list(range(killed_after + 1, 4))
    assert same(resumed.model, straight.model)
    assert [(p.loss, p.score) for p in resumed.curve] == [(p.loss, p.score) for p in straight.curve]
    assert resumed.val == straight.val
    assert [p.seconds for p in resumed.curve] == sorted(p.seconds for p in resumed.curve)


def test_curves_of_version_0_1_are_read() -> None:
    entry = {"epoch": 1, "epochs": 4, "loss": 2.0, "seconds": 3.0}
    assert Progress.read(entry | {"accuracy": 0.5}) == Progress.read(entry | {"score": 0.5})


def test_a_checkpoint_of_another_training_is_refused(data: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    recipe = Recipe(epochs=1)
    run(data, recipe, checkpoint=path)
    with pytest.raises(RunError, match=r"another training: seed was 1, is 2; name another folder, or delete"):
        run(data, recipe, seed=2, checkpoint=path)
    with pytest.raises(RunError, match=r"another training: epochs was 1, is 2; lr was the default, is 0\.2;"):
        run(data, recipe.replace(lr=0.2, epochs=2), checkpoint=path)
    outputs = Outputs(checkpoint=path)
    with pytest.raises(RunError, match="is of another network"):
        train(nn.Linear(1, 1), data, recipe, resolution=SIDE, device=CPU, seed=1, outputs=outputs)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RunError, match="is not a checkpoint that can be read"):
        run(data, recipe, checkpoint=path)


def test_a_checkpoint_of_a_network_with_the_same_shapes_is_refused(data: ImageData, tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint", Recipe(epochs=2)
    stem, *others = ARCHITECTURE.stages
    other = ARCHITECTURE.replace(stages=[[stem[0].replace(activation="relu")], *others])
    run(data, recipe, checkpoint=path, architecture=ARCHITECTURE, on_epoch=lambda _: False)
    with pytest.raises(RunError, match=r"training: stages\.0\.0\.activation was .*, is 'relu'; name another"):
        run(data, recipe, checkpoint=path, architecture=other)
    renamed = ARCHITECTURE.replace(name="that of another trial")
    assert len(run(data, recipe, checkpoint=path, architecture=renamed).curve) == 2


def test_a_checkpoint_that_names_no_architecture_goes_on(data: ImageData, tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint", Recipe(epochs=2)
    run(data, recipe, checkpoint=path, on_epoch=lambda _: False)
    content = read_tensors(path)
    del content["identity"]["architecture"]
    write_tensors(path, content)
    seen: list[int] = []
    run(
        data,
        recipe,
        checkpoint=path,
        architecture=ARCHITECTURE,
        on_epoch=lambda progress: seen.append(progress.epoch) is None,
    )
    assert seen == [2]


def test_a_checkpoint_knows_data_by_an_earlier_fingerprint(data: ImageData, tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint", Recipe(epochs=2)
    run(replace(data, fingerprint="of names"), recipe, checkpoint=path, on_epoch=lambda _: False)
    later = replace(data, fingerprint="of content", earlier_fingerprints=("of names",))
    seen: list[int] = []
    run(later, recipe, checkpoint=path, on_epoch=lambda progress: seen.append(progress.epoch) is None)
    assert seen == [2]
    with pytest.raises(RunError, match="data was 'of content', is 'of others'"):
        run(replace(later, fingerprint="of others"), recipe, checkpoint=path)
