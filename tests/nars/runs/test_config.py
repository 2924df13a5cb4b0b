"""What a search is: checked when made, the same after a round trip, and compared when it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.study import StudyDirection
from stub_task import SPACE, config

from nars.errors import RunError, SpecError, UsageError
from nars.runs.config import SearchConfig
from nars.spec import Recipe
from nars.tasks.differences import space_difference
from nars.tasks.reference import FINE_TUNING, Reference
from search_spaces import published, space

FIXED = {
    "open": SPACE,
    "micro": space("micro").replace(num_classes=7),
    "recipe fixed": space("fbnetv3").fix(recipe=Recipe(lr=0.3, ema=True)),
    "architecture fixed": space("fbnetv3").fix(architecture=published("fbnetv3_a")),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_search_read_back_continues_itself(name: str) -> None:
    made = config("30m", space=FIXED[name], limits={"macs": 4e6, "latency": 0.005}, seed=3, sampler="tpe")
    again = SearchConfig.from_yaml(made.to_yaml())
    assert again == made
    assert again.identity == made.identity
    again.check_continues(made, "here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objectives": ("accuracy", "macz")},
            "'macz' is known only by training; valid: macs, params, latency",
        ),
        ({"objectives": ("accuracy", "macs", "macs")}, "objectives repeat: accuracy, macs, macs"),
        ({"objectives": ()}, "objectives"),
        ({"limits": {"flops": 1e6}}, "'flops' is known only by training"),
        ({"limits": {"macs": 0}}, "greater than 0"),
        ({"limits": {"macs": float("nan")}}, "limits.macs"),
        ({"seed": -1}, "seed"),
        (
            {"objectives": ("accuracy", "macs"), "pruner": "median"},
            "pruner 'median' compares a single objective",
        ),
        ({"sampller": "nars"}, "unknown key 'sampller' of searchconfig: did you mean 'sampler'?"),
    ],
)
def test_a_search_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        config(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="budget '64 trials'"):
        config("64 trials")


def test_the_metric_is_maximised_and_what_it_costs_minimised() -> None:
    found = config(objectives=("accuracy", "macs", "latency"))
    assert found.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
    assert found.needs_latency
    assert config(limits={"latency": 1.0}).needs_latency
    assert not config(limits={"macs": 1.0}).needs_latency


@pytest.mark.parametrize("changes", [{"budget": "900ep"}, {"device": "cuda:1"}], ids=str)
def test_a_search_may_go_further_and_elsewhere(changes: dict[str, Any]) -> None:
    earlier = config()
    now = earlier.replace(**changes)
    now.check_continues(earlier, "runs/first")
    assert now.identity == earlier.identity


OTHER = SPACE.replace(resolution=8, name="mine")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"seed": 2}, "seed was 0, now 2"),
        ({"data": "photos"}, "data was 'none', now 'photos'"),
        ({"data_fingerprint": "stub:other"}, "data_fingerprint was 'stub:none', now 'stub:other'"),
        ({"limits": {"macs": 5e6}}, "limits were macs 4000000, now macs 5000000"),
        ({"limits": {}}, "limits were macs 4000000, now none"),
        ({"objectives": ("accuracy", "macs")}, "objectives were accuracy, now accuracy, macs"),
        (
            {"objectives": ("mine:f",)},
            "metric was accuracy, now mine:f: --metric accuracy restores it",
        ),
        ({"sampler": "tpe"}, "sampler was 'nars', now 'tpe'"),
        ({"pruner": "median"}, "pruner was 'none', now 'median'"),
        ({"early_stopping": False}, "early_stopping was True, now False"),
        (
            {"task": "detection", "objectives": ("ap",)},
            "task was 'stub', now 'detection': --task stub restores",
        ),
        ({"space": OTHER}, "space tiny is not mine: resolution was 8 to 16 step 4, now 8 (choose"),
        ({"space": SPACE.replace(num_classes=3)}, "space tiny has changed: num_classes was 10, now 3"),
    ],
)
def test_another_search_is_refused_with_the_difference(changes: dict[str, Any], shown: str) -> None:
    earlier = config(limits={"macs": 4e6})
    now = earlier.replace(**changes)
    assert now.identity != earlier.identity
    with pytest.raises(RunError) as caught:
        now.check_continues(earlier, "runs/first")
    assert str(caught.value).startswith("runs/first holds another search: ")
    assert shown in str(caught.value)
    assert str(caught.value).count(";") == 0  # the one difference, and no other


def test_ranges_and_lists_of_a_space_are_named_as_its_file_has_them() -> None:
    recipe = {"lr": 0.05, "epochs": 5, "warmup_epochs": 0.5, "ema": (False, True), "crop_area": 0.5}
    difference = space_difference(SPACE, SPACE.replace(recipe=recipe))
    assert difference == (
        "space tiny has changed: recipe.lr was 0.01 to 1.0 log, now 0.05, recipe.epochs was 2 to 5, now 5, "
        "recipe.ema was absent, now [false, true] and 1 more"
    )


def test_of_a_fine_tuning_only_what_was_asked_for_is_named() -> None:
    reference = Reference(resolution=16, recipe=FINE_TUNING.replace(epochs=1))
    before = config(init="efficientnet_lite0", reference=reference)
    for after, shown in (
        (reference.for_epochs(2), "reference epochs were 1, now 2: --reference-epochs 1 restores it"),
        (None, "reference epochs were 1, now 0: --reference-epochs 1 restores it"),
        (reference.replace(resolution=8), "of the reference resolution was 16, now 8"),
    ):
        with pytest.raises(RunError, match=f"^here holds another search: {shown} .choose another --run.$"):
            before.replace(reference=after).check_continues(before, "here")
    with pytest.raises(RunError, match=r"now 'none' .choose"):  # from which the rest follows
        config().check_continues(before, "here")
    smaller = before.replace(space=OTHER, reference=reference.replace(resolution=8))
    with pytest.raises(RunError, match=r"resolution was 8 to 16 step 4, now 8 .choose"):
        smaller.check_continues(before, "here")


def test_many_differences_are_all_named_but_of_a_space_only_the_first() -> None:
    with pytest.raises(RunError) as caught:
        config(space=space("micro"), seed=1).check_continues(config(), "here")
    message = str(caught.value)
    assert "space tiny is not micro: " in message
    assert " more; seed was 0, now 1" in message
    assert len(message) < 600


def test_a_detection_search_of_version_0_1_is_read_and_not_continued() -> None:
    earlier = config(task="detection", objectives=("ap",))  # in a space of classifiers
    assert SearchConfig.from_yaml(earlier.to_yaml()) == earlier
    with pytest.raises(
        RunError, match=r"here holds a detection search of version 0.1, whose limits .* not cont"
    ):
        earlier.check_continues(earlier, "here")


def test_a_space_of_detectors_is_read_as_such() -> None:
    from detector.space.spaces import DEFAULT
    from detector.space.spaces import space as detectors

    now = config(task="detection", objectives=("ap",), space=detectors(DEFAULT).for_classes(3))
    again = SearchConfig.from_yaml(now.to_yaml())
    assert again == now
    assert again.space.fingerprint == now.space.fingerprint
    now.check_continues(again, "here")
