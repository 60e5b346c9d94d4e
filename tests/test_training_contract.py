"""The training lane's contract: what is shipped loads; what would disarm a check is refused."""

from __future__ import annotations

import re

import pytest

from plugins.contracts.training import PATH, load_training
from plugins.failure import ContractError

TRAINING = load_training()


@pytest.fixture
def refused(tmp_path):
    """The sentence with which the contract is refused when a first match is replaced."""

    def refuse(pattern: str, replacement: str) -> str:
        text, count = re.subn(
            pattern, lambda _: replacement, PATH.read_text("utf-8"), count=1, flags=re.M
        )
        assert count == 1
        path = tmp_path / "training.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ContractError) as refusal:
            load_training(path)
        return str(refusal.value).partition(": ")[2]

    return refuse


def test_the_recipe_is_the_sources():
    recipe = TRAINING.recipe
    assert (recipe.batch, recipe.momentum, recipe.weight_decay) == (16, 0.9, 1e-4)
    assert (recipe.milestones, recipe.gamma, recipe.target_map) == ([16, 22], 0.1, 0.35)
    rows = {c.name: (c.world, c.lr) for c in TRAINING.configuration}
    assert rows == {"1x1": (1, 0.04), "1x8": (8, 0.08), "2x8": (16, 0.08)}


def test_published_figures_keep_their_digits_and_their_gaps():
    row = TRAINING.configured("1x8").published
    assert (row.e2e_time, row.p_whole, row.map) == ("15253", "138", "0.3529")
    assert TRAINING.configured("1x1").published.e2e_time is None


def test_every_derivation_names_a_measurement_or_a_source():
    derived = [*TRAINING.precision, TRAINING.timing, TRAINING.published]
    derived += [getattr(TRAINING.gate, name) for name in vars(TRAINING.gate)]
    assert all(len(one.derivation.split()) > 8 for one in derived)


def test_a_machine_is_found_by_its_cards_name():
    a100 = TRAINING.machine_of("NVIDIA A100-SXM4-40GB")
    assert a100.peak("fp32", tf32=False) == 19.5e12
    assert a100.peak("fp32", tf32=True) == 156e12
    assert a100.peak("amp", tf32=False) == a100.peak("fp16", tf32=True) == 312e12
    assert TRAINING.machine_of("x86_64 Linux") is None
    assert TRAINING.machine_of("NVIDIA RTX A1000") is None


def test_a_subject_is_found_by_its_id():
    for one in TRAINING.subject:
        assert TRAINING.subject_of(one.id) is one


def test_each_kind_of_device_has_its_own_numbers():
    subject = TRAINING.subject_of("retinanet_resnet50_fpn")
    assert (subject.size("cuda").min_size, subject.size("cpu").min_size) == (800, 240)
    amp = TRAINING.precision_of("amp")
    assert (amp.types("cuda").compute, amp.types("cpu").compute) == ("float16", "bfloat16")
    assert TRAINING.timing.cuda.iterations == 120


@pytest.mark.parametrize(
    ("pattern", "replacement", "sentence"),
    [
        ("^momentum = 0.9 .*$", "", "recipe.momentum: is missing"),
        ("^momentum = 0.9", "momentums = 0.9", "recipe.momentums: unknown key; known are"),
        ("^momentum = 0.9", "momentum = -0.9", "recipe.momentum: must not be negative, not -0.9"),
        ("^milestones = .*$", "milestones = []", "recipe.milestones: must not be empty"),
        ("^milestones = .*$", "milestones = [22, 16]", "recipe.milestones: must ascend, each once"),
        ("^milestones = .*$", "milestones = [26]", "recipe.milestones: must lie before epoch 26"),
        ("^backbone_hash = .*$", "backbone_hash = 'f'", "recipe.backbone_hash: is not the one"),
        ('^name = "1x8"', 'name = "1x1"', "configuration.name: '1x1' is taken"),
        ("^nodes = 1", "nodes = 0", "configuration[0]: needs nodes, cards and lr above 0"),
        ("^doubt = .*$", "doubt = 'none'", "configuration[0].doubt: 'none' is none; say in"),
        ('"22.3"', '"about 22"', "configuration[0].published.p_whole: 'about 22' is no decimal"),
        ('"22.3"', "22.3", "configuration[0].published.p_whole: must be str, not 22.3"),
        ('^name = "amp"', 'name = "apm"', "precision: lacks amp"),
        ("^skipped = 0.05", "skipped = 1.0", "precision[1].skipped: must be a share below 1"),
        ("^loss = 1e-5", "loss = nan", "gate.step_zero.loss: must be finite, not nan"),
        ("^loss = 1e-5", "loss = -1e-5", "gate.step_zero.loss: must not be negative"),
        ("^losses = 0.0", "losses = 0.1", "gate.repeat.losses: must be 0: bit-equal is"),
        ("^allowed = .*$", "allowed = [1e-6]", "gate.distributed.allowed: needs one number"),
        ("^seeds = 60", "seeds = 1", "gate.band.seeds: must be at least 2"),
        ("^at = .*$", "at = [5]", "gate.band.at: must not lie before a whole width"),
        ("^sigmas = 4.5", "sigmas = inf", "gate.band.sigmas: must be finite, not inf"),
        ("milestones = \\[3, 5\\]", "milestones = [3, 6]", "run.short.milestones: retinanet_res"),
        ("resume_at = 25", "resume_at = 30", "run.short.resume_at: retinanet_resnet50_fpn on cuda"),
        ("batch = 16, lr = 0.01", "batch = 0, lr = 0.01", "subject.retinanet_resnet50_fpn.cuda.b"),
    ],
)  # fmt: skip
def test_what_is_off_is_refused_by_key_and_cause(refused, pattern, replacement, sentence):
    assert refused(pattern, replacement).startswith(sentence)


def test_every_sentence_must_be_one(tmp_path):
    """Each derivation, source and doubt in turn, not only the first."""
    text, path = PATH.read_text("utf-8"), tmp_path / "training.toml"
    said = list(re.finditer('^(derivation|source|doubt) = ".*"$', text, re.M))
    assert len(said) > 15
    for one in said:
        path.write_text(f'{text[: one.start()]}{one[1]} = "measured"{text[one.end() :]}', "utf-8")
        with pytest.raises(ContractError, match="'measured' is none; say in a sentence"):
            load_training(path)
