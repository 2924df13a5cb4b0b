"""Faults of the categories, which are those of all parts: ids or names in doubt, and no boxes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from detector.data.findings import Finding
from detector.data.records import Category, CocoData, Subset

__all__ = ["findings"]


def findings(data: CocoData) -> Iterator[Finding]:
    """Ids with two names, names with two ids, names that are alike, and categories without boxes."""
    yield from _conflicts(data)
    yield from _duplicates(data)
    yield from _alike(data)
    yield from _unused(data)


def _conflicts(data: CocoData) -> Iterator[Finding]:
    """Ids that have two names."""
    names: dict[int, str] = {}
    for subset in data.subsets:
        for category in subset.categories:
            first_name = names.setdefault(category.id, category.name)
            if first_name != category.name:
                both = f"{first_name!r} and {category.name!r}"
                message = f"category {category.id} is {both}: give it one name, or each class its id"
                yield Finding("category-conflict", subset.name, str(subset.source), message, category.id)


def _duplicates(data: CocoData) -> Iterator[Finding]:
    """Names that have two ids, in one file or in two."""
    first: dict[str, Category] = {}
    for index, category in enumerate(data.categories):
        kept = first.setdefault(category.name, category)
        if kept is category:
            continue
        subset, other = _home(data, category), _home(data, kept)
        where = "" if other is subset else f" in {other.name}"
        own = other.category_ids.get(kept.id, kept.id)
        message = (
            f"category {category.name!r} has id {own}{where}, too: give it one id, or each class its name"
        )
        yield Finding("category-duplicate", subset.name, str(subset.source), message, category.id, index)


def _home(data: CocoData, category: Category) -> Subset:
    """The first part that lists a category."""
    return next(
        subset for subset in data.subsets if any(other.id == category.id for other in subset.categories)
    )


def _alike(data: CocoData) -> Iterator[Finding]:
    """Categories whose names differ in case, spaces and signs alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(data.classes):
        groups["".join(letter for letter in name.casefold() if letter.isalnum()) or name].append(name)
    for group in groups.values():
        if len(group) > 1:
            shown = ", ".join(map(repr, group))
            message = f"categories {shown} differ in case or spaces alone; are they one class?"
            yield Finding("category-alike", "train", str(data.train.source), message)


def _unused(data: CocoData) -> Iterator[Finding]:
    """Categories without boxes in train, and others without boxes in val, unless their name is in doubt."""
    used = [{annotation.category_id for annotation in subset.annotations} for subset in data.subsets]
    times = Counter(data.classes)
    for category in data.categories if used[0] else ():
        subset = data.val if category.id in used[0] else data.train
        if times[category.name] > 1:
            continue
        if category.id not in used[0]:
            message = f"category {category.name!r} has no boxes in train: it is not learned"
        elif used[1] and category.id not in used[1]:
            message = f"category {category.name!r} has no boxes in val: its AP is not measured"
        else:
            continue
        yield Finding("category-unused", subset.name, str(subset.source), message, category.id)
