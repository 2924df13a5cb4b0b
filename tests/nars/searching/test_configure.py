"""From a user's words to a search, or to one line that says what is wrong with them."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from stub_task import SPACE, TINY, StubTask, config, search

from nars import tasks
from nars.data import ImageSize
from nars.errors import DataError, InfeasibleError, NarsError, RunError, SpecError, UsageError
from nars.predictors import PREDICTORS
from nars.runs import request as request_module
from nars.runs.config import SearchConfig
from nars.runs.request import PredictorName, SearchRequest
from nars.runs.run import default_folder, start_run
from nars.searching import samplers
from nars.searching.configure import configure, what_is_left
from nars.spec import Candidate, Recipe
from search_spaces import published, space


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return str(tmp_path / "tiny.yaml")


def test_defaults(stub: type[StubTask]) -> None:
    config = configure(SearchRequest(task="stub", data="here"))
    assert config.space == space("micro").replace(num_classes=10)
    assert (config.task, config.data, config.data_fingerprint) == ("stub", "here", "stub:here")
    assert (config.objectives, config.limits, config.sampler, config.budget) == (
        ("accuracy",),
        {},
        "nars",
        "64",
    )


def test_a_request_has_the_defaults_of_a_search(stub: type[StubTask]) -> None:
    """A file without a field, and a command without its option, mean the same; a choice is never stored."""
    for name, field in SearchConfig.model_fields.items():
        if name in SearchRequest.model_fields and name not in ("space", "init", "objectives"):
            assert field.get_default(call_default_factory=True) == getattr(SearchRequest(), name), name


def test_the_space_that_suits_the_images(stub: type[StubTask], monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(side: int, channels: int, **words: Any) -> tuple[str, int, list[str]]:
        monkeypatch.setattr(stub, "images", ImageSize(side, channels))
        lines: list[str] = []
        space = configure(SearchRequest(task="stub", data="here", **words), say=lines.append).space
        return space.name, space.in_channels, lines

    assert chosen(8, 1) == ("micro", 3, ["--space auto takes micro: grey images of 8 pixels, fewer than 40"])
    assert chosen(96, 3)[:2] == ("mobile", 3)
    assert chosen(96, 3, max_macs=8e6)[:2] == ("tiny", 3)
    assert chosen(96, 1)[:2] == ("tiny", 1)
    assert chosen(8, 1, space="tiny") == ("tiny", 1, [])
    assert chosen(96, 1, space="mobile") == ("mobile", 3, [])
    assert chosen(96, 1, fix=["arch=fbnetv3_a0"])[1] == 3


def test_a_grey_network_has_no_use_for_colour(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grey.yaml").write_text(space("micro").replace(in_channels=1).to_yaml())
    request = SearchRequest(task="stub", data="here", space=tmp_path / "grey.yaml")
    monkeypatch.setattr(stub, "images", ImageSize(8, 1))
    assert configure(request).space.in_channels == 1
    monkeypatch.setattr(stub, "images", ImageSize(8, 3))
    with pytest.raises(UsageError, match="takes images of in_channels: 1, those of here have 3"):
        configure(request)


def test_a_search_that_exists_keeps_its_space(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stub, "images", ImageSize(96, 3))
    request, lines = SearchRequest(task="stub", data="photos"), list[str]()
    old = configure(request.replace(space="micro"))
    folder = default_folder(old)
    assert folder.name.startswith("micro-photos-")
    assert configure(request, say=lines.append).space.name == "mobile"
    start_run(folder, old, None)
    assert configure(request, say=lines.append) == old
    assert configure(request, folder, lines.append) == old
    assert lines[1:] == [f"--space auto takes micro: {folder} has it"] * 2
    start_run(Path("mine"), configure(request.replace(space="tiny")), None).study()
    assert configure(request, Path("mine")).space.name == "tiny"
    with pytest.raises(UsageError, match="has 0 scored trials"):  # and not: is another space
        configure(request.replace(warm_start=(Path("mine"),)))
    mobile = configure(request.replace(space="mobile"))
    start_run(default_folder(mobile), mobile, None)
    assert configure(request) == mobile


def test_a_search_that_exists_keeps_its_fingerprint(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stub, "images", ImageSize(96, 3))
    request = SearchRequest(task="stub", data="photos")
    before = {name: configure(request.replace(space=name)) for name in ("micro", "mobile")}
    monkeypatch.setattr(stub, "fingerprint", "stub:by content")
    monkeypatch.setattr(stub, "earlier_fingerprints", ("stub:photos",))
    fresh = configure(request)
    assert (fresh.space.name, fresh.data_fingerprint) == ("mobile", "stub:by content")
    for old in before.values():  # from the time of `micro`, then from that of `mobile`
        start_run(default_folder(old), old, None)
        assert configure(request) == old
        assert configure(request, default_folder(old)) == old
    start_run(Path("mine"), fresh, None)
    assert configure(request, Path("mine")) == fresh
    start_run(default_folder(fresh), fresh, None)
    assert configure(request) == fresh
    monkeypatch.setattr(stub, "earlier_fingerprints", ("stub:other photos",))
    with pytest.raises(RunError, match="data_fingerprint was 'stub:photos', now 'stub:by content'"):
        start_run(default_folder(old), configure(request, default_folder(old)), None)


def test_a_run_in_a_space_of_ones_own_keeps_it(stub: type[StubTask], tiny: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(Recipe(lr=0.2).to_yaml())
    request, run = SearchRequest(task="stub", data="here"), tmp_path / "run"
    own = configure(request.replace(space=tiny))
    start_run(run, own, None)
    assert configure(request, run) == own
    changed = configure(request.replace(fix=(f"recipe={tmp_path / 'recipe.yaml'}",)), run)
    with pytest.raises(RunError, match="holds another search: space "):
        start_run(run, changed, None)


def test_the_real_task_sets_classes_and_fingerprint(tiny: str) -> None:
    config = configure(SearchRequest(space=tiny, data="digits"))
    assert config.space.num_classes == 10
    assert config.data_fingerprint.startswith("classification:")


def test_everything_said_is_in_the_search(stub: type[StubTask], tiny: str) -> None:
    said: dict[str, Any] = {
        "objectives": ("accuracy", "params"),
        "budget": "90s",
        "sampler": "gp",
        "predictor": "ensemble",
        "pruner": "none",
        "early_stopping": False,
        "seed": 4,
        "drop_bad": True,
        "device": "cpu",
    }
    config = configure(SearchRequest(space=tiny, task="stub", max_macs=5e4, max_latency=0.01, **said))
    assert config.limits == {"macs": 5e4, "latency": 0.01}
    assert {name: getattr(config, name) for name in said} == said


def test_numbers_and_paths_are_taken_as_they_are() -> None:
    request = SearchRequest(budget=64, data=Path("photos"), space=Path("my.yaml"))
    assert (request.budget, request.data, request.space) == ("64", "photos", "my.yaml")


def test_the_names_of_a_request_are_those_that_can_be_made() -> None:
    """They are spelled out where nothing heavy is imported."""
    assert get_args(PredictorName) == PREDICTORS
    for name, home in tasks.TASKS.items():
        module, _, cls = home.partition(":")
        assert request_module._METRICS[name] == getattr(import_module(module), cls).metric


@pytest.mark.parametrize(
    "words",
    [
        {"metric": "macro_f1"},
        {"objectives": "macro_f1"},
        {"metric": "macro_f1", "objectives": "macro_f1"},
    ],
)
def test_the_metric_is_the_first_objective(tiny: str, words: dict[str, Any]) -> None:
    config = configure(SearchRequest(space=tiny, data="digits", **words))
    assert config.objectives == ("macro_f1",)
    assert config.metric == "macro_f1"
    by_accuracy = configure(SearchRequest(space=tiny, data="digits", metric="accuracy"))
    assert by_accuracy == configure(SearchRequest(space=tiny, data="digits"))
    assert by_accuracy.data_fingerprint == config.data_fingerprint


def test_a_begun_search_goes_on_with_what_it_learned_from(stub: type[StubTask], tmp_path: Path) -> None:
    """The other search may have more trials meanwhile, or be gone."""
    earlier, folder = tmp_path / "earlier", tmp_path / "run"
    search(config("8", sampler="random"), earlier)
    (tmp_path / "space.yaml").write_text(SPACE.to_yaml())
    request = SearchRequest(task="stub", data="none", space=tmp_path / "space.yaml", warm_start=(earlier,))
    begun = configure(request, folder)
    start_run(folder, begun, None)
    search(config("12", sampler="random"), earlier)
    assert len(configure(request).warm_start[0].scores) == 12
    assert configure(request, folder) == begun
    shutil.rmtree(earlier)
    assert configure(request, folder) == begun
    with pytest.raises(RunError):
        configure(request)


def test_a_search_without_a_teacher_learns_from_another_one(tiny: str, tmp_path: Path) -> None:
    """What is taught is held at 0 in the recorded space."""
    space = tmp_path / "taught.yaml"
    space.write_text(Path(tiny).read_text() + "  distill: {low: 0.0, high: 0.9}\n")
    request = SearchRequest(space=space, data="digits")
    start_run(tmp_path / "run", configure(request), None).study()
    with pytest.raises(UsageError, match="run has 0 scored trials"):  # and not: another space
        configure(request.replace(warm_start=(tmp_path / "run",)))


def test_a_function_of_a_run_to_learn_from_is_repeated(stub: type[StubTask], tmp_path: Path) -> None:
    request = SearchRequest(task="stub", data="here")
    start_run(tmp_path / "run", configure(request).replace(objectives=("mine:f",)), None)
    with pytest.raises(UsageError, match="run is scored by code, mine:f: repeat --metric mine:f if you"):
        configure(request.replace(warm_start=(tmp_path / "run",)))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"space": "mirco"}, UsageError, "did you mean 'micro'"),
        ({"space": "none.yaml"}, NarsError, "none.yaml"),
        (
            {"task": "clasification"},
            UsageError,
            "unknown task 'clasification': did you mean 'classification'",
        ),
        ({"task": "classification", "data": "nowhere/at/all"}, DataError, "nowhere/at/all"),
        ({"objectives": ["macs"]}, UsageError, "the first objective of stub is accuracy, got 'macs'"),
        ({"objectives": ["accuracy", "mac"]}, UsageError, "no objective 'mac': did you mean 'macs'?"),
        (
            {"task": "detection", "objectives": ["accuracy"]},
            UsageError,
            "the first objective of detection is ap, got 'accuracy'",
        ),
        (
            {"task": "classification", "metric": "macro_f2"},
            UsageError,
            "no metric 'macro_f2': did you mean 'macro_f1'?",
        ),
        (
            {"task": "classification", "metric": "auroc", "objectives": ["macro_f1", "macs"]},
            UsageError,
            "--metric is auroc, but the first objective is macro_f1",
        ),
        ({"task": "detection", "metric": "auroc"}, UsageError, "the metric of detection is ap, got 'auroc'"),
        ({"metric": "auroc"}, UsageError, "the task stub is scored by accuracy, got 'auroc'"),
        ({"metric": "f"}, UsageError, "the first objective of stub is accuracy, got 'f'"),
        ({"sampler": "tpee"}, UsageError, "no sampler 'tpee': did you mean 'tpe'?"),
        ({"sampler": 3}, UsageError, "no sampler 3: valid: "),
        ({"predictor": "gausian"}, UsageError, "no predictor 'gausian': did you mean 'gaussian'?"),
        ({"pruner": "medain"}, UsageError, "no pruner 'medain': did you mean 'median'?"),
        ({"budget": "4 hours"}, UsageError, "budget '4 hours': give trials (64), a time"),
        ({"max_macs": 0}, SpecError, "search max_macs: Input should be greater than 0, got 0"),
        ({"bugdet": "3"}, SpecError, "unknown key 'bugdet' of search: did you mean 'budget'?"),
        (
            {"objectives": ["accuracy", "macs"], "sampler": "cmaes"},
            UsageError,
            "cmaes has one objective",
        ),
        (
            {"fix": ["recipes=best.yaml"]},
            UsageError,
            "--fix 'recipes=best.yaml': give recipe=FILE or arch=FILE",
        ),
        ({"fix": ["recipe"]}, UsageError, "--fix 'recipe': give recipe=FILE or arch=FILE"),
        ({"fix": ["recipe=gone.yaml"]}, SpecError, "cannot read gone.yaml"),
        ({"fix": ["arch=fbnetv3_z"]}, UsageError, "fbnetv3_"),
    ],
)
def test_mistakes_are_named(
    stub: type[StubTask], words: dict[str, Any], error: type[NarsError], message: str
) -> None:
    with pytest.raises(error) as caught:
        configure(SearchRequest(**({"task": "stub"} | words)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        {"sampler": "tpee"},
        {"predictor": "gausian"},
        {"pruner": "medain"},
        {"task": "detecton"},
        {"budget": "4x"},
        {"objectives": ["acuracy"]},
        {"metric": "acuracy"},
        {"space": "mirco"},
        {"fix": ["recipes=best.yaml"]},
        {"warm_start": ["gone"]},
    ],
)
def test_names_are_checked_before_data_are_opened(
    words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: Any, **options: Any) -> None:
        raise AssertionError("data were opened")

    monkeypatch.setattr(tasks, "load", load)
    with pytest.raises(NarsError):
        configure(SearchRequest(**words))


def test_without_its_package_cmaes_says_what_to_install(
    stub: type[StubTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"sampler cmaes needs a package .*pip install 'nars\[cmaes\]'"):
        configure(SearchRequest(task="stub", sampler="cmaes"))


def test_parts_held_by_file_or_published_name(stub: type[StubTask], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(Recipe(lr=0.2).to_yaml())
    whole = Candidate(architecture=published("fbnetv3_a"), recipe=Recipe(lr=0.3))
    (tmp_path / "whole.yaml").write_text(whole.to_yaml())
    for file, lr in (("recipe.yaml", 0.2), ("whole.yaml", 0.3)):
        held = configure(SearchRequest(task="stub", fix=[f"recipe={tmp_path / file}"])).space
        assert held.recipe_names == []
        assert held.fixed["recipe.lr"] == lr
    for name in ("fbnetv3_a", str(tmp_path / "whole.yaml")):
        held = configure(SearchRequest(task="stub", fix=[f"arch={name}"])).space
        assert held.architecture_names == []
        assert held.recipe_names == space("micro").recipe_names
    with pytest.raises(UsageError, match="nothing is left to search"):
        configure(SearchRequest(task="stub", fix=["arch=fbnetv3_a", f"recipe={tmp_path / 'recipe.yaml'}"]))


def test_what_is_left_leaves_out_what_must_be_measured(stub: type[StubTask], tiny: str) -> None:
    def share(**limits: float) -> float:
        return what_is_left(configure(SearchRequest(space=tiny, task="stub", **limits))).share

    assert share(max_latency=1e-9) == 1
    assert 0 < share(max_macs=5e4, max_latency=1e-9) < 1
    with pytest.raises(InfeasibleError, match="no candidate meets macs <= 10: the smallest possible is macs"):
        share(max_macs=10)


def test_epochs_of_a_reference_that_there_is_not_are_said(stub: type[StubTask], tiny: str) -> None:
    said: list[str] = []
    configure(SearchRequest(space=tiny, task="stub", init="none", reference_epochs=2), say=said.append)
    assert "--reference-epochs changes nothing: there is no parent to fine-tune" in said
