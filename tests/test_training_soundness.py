"""What a training contract may not say, at the edges: the limit itself and a step to either side."""

from __future__ import annotations

import dataclasses

import pytest

from plugins.contracts import training_soundness
from plugins.contracts.training import load_training

TRAINING = load_training()
SHORT = "a b c d"


def changed(one, path: list[str], value):
    """A tree of dataclasses and lists with another value at one place."""
    if not path:
        return value(one) if callable(value) else value
    name, *rest = path
    if isinstance(one, list):
        index = int(name)
        return [*one[:index], changed(one[index], rest, value), *one[index + 1 :]]
    return dataclasses.replace(one, **{name: changed(getattr(one, name), rest, value)})


def faults(*changes: tuple) -> list[tuple[str, str]]:
    made = TRAINING
    for place, value in changes:
        made = changed(made, place.split("."), value)
    return list(training_soundness.problems(made))


def said(*changes: tuple) -> dict[str, str]:
    return dict(faults(*changes))


def test_of_what_ships_nothing_is_said():
    assert faults() == []


EDGES = [
    # place, the key that is named, values that are right, values that are wrong
    ("recipe.momentum", "recipe.momentum", [0.0, 0.5, 7.0], [-0.1]),
    ("recipe.seed", "recipe.seed", [0, 1], [-1]),
    ("recipe.target_map", "recipe.target_map", [0.0, 0.99], [1.0, 1.5, -0.1]),
    ("recipe.flip", "recipe.flip", [0.0, 0.99], [1.0]),
    ("recipe.milestones", "recipe.milestones", [[16, 25], [1]], [[], [22, 16], [16, 16], [16, 26], [26], [27]]),
    ("recipe.backbone_hash", "recipe.backbone_hash", [], ["f", ""]),
    ("configuration.0.nodes", "configuration[0]", [1], [0]),
    ("configuration.0.cards", "configuration[0]", [1], [0]),
    ("configuration.0.lr", "configuration[0]", [0.01], [0.0]),
    ("configuration.0.doubt", "configuration[0].doubt", ["a b c d e"], [SHORT, ""]),
    ("configuration.0.published.p_whole", "configuration[0].published.p_whole",
     ["22", "22.3", "0"], ["about 22", "2.2.3", "-1", ""]),
    ("configuration.0.published.epochs", "configuration[0].published.epochs", [3, None], [-1]),
    ("timing.derivation", "timing.derivation", ["a b c d e"], [SHORT]),
    ("gate.step_zero.loss", "gate.step_zero.loss", [0.0, 0.99], [1.0, -0.1]),
    ("gate.repeat.losses", "gate.repeat.losses", [0.0], [0.1]),
    ("gate.distributed.allowed", "gate.distributed.allowed", [], [[], [1e-6], [1e-6] * 9]),
    ("gate.band.seeds", "gate.band.seeds", [2, 3], [1, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("place", "key", "right", "wrong"), EDGES)
def test_each_value_has_its_edges(place, key, right, wrong):
    for value in right:
        assert key not in said((place, value)), value
    for value in wrong:
        assert key in said((place, value)), value


@pytest.mark.parametrize("name", ["skipped", "loss", "gradient", "map", "flip", "target_map", "sum",
                                  "harness", "efficiency"])  # fmt: skip
def test_a_share_is_below_one_and_only_shares_have_to_be(name):
    leaf = training_soundness._leaf
    assert list(leaf(1.0, f"a.{name}")) == [(f"a.{name}", "must be a share below 1, not 1")]
    assert list(leaf(0.99, f"a.{name}")) == list(leaf(1.0, "a.rate")) == list(leaf(1, name)) == []


@pytest.mark.parametrize("name", ["derivation", "source", "doubt"])
def test_a_sentence_has_five_words_and_only_sentences_have_to(name):
    leaf = training_soundness._leaf
    what = "'a b c d' is none; say in a sentence where the figures come from"
    assert list(leaf(SHORT, f"a.{name}")) == [(f"a.{name}", what)]
    assert list(leaf("a b c d e", name)) == list(leaf(SHORT, "a.name")) == []


def test_an_empty_list_and_a_negative_number_are_named_where_they_stand():
    found = said(("recipe.milestones", []), ("gate.band.at", lambda at: [*at[:1], -1]))
    assert found["recipe.milestones"] == "must not be empty: nothing would be checked"
    assert found["gate.band.at[1]"] == "must not be negative, not -1"


@pytest.mark.parametrize(("kind", "field"), [("configuration", "name"), ("precision", "name"),
                                             ("machine", "name"), ("subject", "id")])  # fmt: skip
def test_a_name_is_taken_once(kind, field):
    first = getattr(TRAINING, kind)[0]
    found = said((kind, lambda rows: [*rows, first]))
    assert found[f"{kind}.{field}"] == f"'{getattr(first, field)}' is taken"


@pytest.mark.parametrize("name", ["fp32", "amp", "fp16"])
def test_each_precision_is_there(name):
    found = said(("precision", lambda rows: [row for row in rows if row.name != name]))
    assert found == {"precision": f"lacks {name}; each of fp32, amp, fp16 needs one"}


def test_a_hash_is_the_end_of_its_address():
    address, digits = TRAINING.recipe.backbone_url, TRAINING.recipe.backbone_hash
    assert address.endswith(f"-{digits}.pth")
    assert "recipe.backbone_hash" in said(("recipe.backbone_url", f"{digits}.pth"))
    assert said(("recipe.backbone_url", f"x-{digits}.pth")) == {}


def test_a_band_is_as_wide_as_it_says():
    width = TRAINING.gate.band.width
    name = "gate.band.at"
    assert said((name, [width, width + 1])) == {}
    assert name in said((name, [width + 1, width - 1]))
    assert name in said(("gate.band.width", 0))
    assert said(("gate.band.width", 1)) == {}


def run(batch: int, iterations: int, images: int = 80, last: int = 5, resume: int = 25) -> dict:
    """What is said of a short run of the first subject on a GPU; an epoch has images // batch."""
    place = "subject.0.cuda"
    return said(
        (f"{place}.batch", batch), (f"{place}.iterations", iterations), ("subject", lambda s: s[:1]),
        ("run.short.images", images), ("run.short.milestones", [2, 3, last]),
        ("run.short.resume_at", resume), ("subject.0.cpu.iterations", 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"iterations": 51}, []),
        ({"iterations": 50}, ["run.short.milestones"]),  # five epochs of ten
        ({"iterations": 59, "images": 81}, []),
        ({"iterations": 20}, []),  # two epochs show step 0 alone
        ({"iterations": 21}, ["run.short.milestones"]),
        ({"iterations": 41, "last": 4}, []),
        ({"iterations": 51, "resume": 30}, ["run.short.resume_at"]),
        ({"iterations": 51, "resume": 31}, []),
        ({"iterations": 20, "resume": 30}, []),
        ({"iterations": 40, "resume": 30}, ["run.short.milestones", "run.short.resume_at"]),
    ],
)  # fmt: skip
def test_a_short_run_crosses_every_drop(given, named):
    assert sorted(run(8, **given)) == named


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_a_batch_has_images(kind):
    name = TRAINING.subject[0].id
    found = said((f"subject.0.{kind}.batch", 0))
    assert found[f"subject.{name}.{kind}.batch"] == "must be above 0"


def test_after_a_batch_without_images_the_others_are_looked_at():
    last = len(TRAINING.subject) - 1
    found = said(("subject.0.cuda.batch", 0), (f"subject.{last}.cpu.batch", 0))
    assert [key.split(".")[-2:] for key in found] == [["cuda", "batch"], ["cpu", "batch"]]
