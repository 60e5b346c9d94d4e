"""Contracts: what is shipped loads; what is off is refused by file, key and cause."""

from __future__ import annotations

import re

import pytest

from plugins import contracts
from plugins.contracts import FOLDER, operators
from plugins.failure import ContractError

SHAPES = FOLDER / "retinanet_shapes.toml"


@pytest.fixture
def refused(tmp_path):
    """The sentence with which a changed copy of a contract is refused, without its path."""

    def refuse(text: str) -> str:
        path = tmp_path / "changed.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ContractError) as refusal:
            contracts.load(path)
        where, _, sentence = str(refusal.value).partition(": ")
        assert where == str(path)
        return sentence

    return refuse


def changed(pattern: str, replacement: str) -> str:
    """The shipped contract with the first match of a pattern (whole lines) replaced."""
    text, count = re.subn(pattern, replacement, SHAPES.read_text("utf-8"), count=1, flags=re.M)
    assert count == 1
    return text


def test_the_shipped_contracts_load():
    assert list(contracts.load_all()) == ["retinanet_r50_fpn_3x", "retinanet_shapes"]


def test_an_input_has_a_shape_and_a_rule_for_each_side():
    sizes = [contracts.InputSize(64, 30, 60), contracts.InputSize(32, 15, 31)]
    given = contracts.Input("float32", [1.0, 2.0, 3.0], sizes)
    assert given.shape(32) == [1, 3, 32, 32]
    rule = {"shortest": 15, "longest": 31, "size": 32, "mean": [1.0, 2.0, 3.0]}
    assert given.preprocess(32) == rule
    with pytest.raises(StopIteration):
        given.preprocess(48)


def test_what_may_stay_in_torch_is_no_option_of_the_compiler():
    declared = contracts.load_all()["retinanet_shapes"].compile
    given = declared.options()
    assert "left_in_torch" not in given and len(given) == len(vars(declared)) - 1
    assert given["soc_version"] == declared.soc_version


def test_what_a_contract_leaves_out():
    assert not contracts.Output("a", "float32", [], [], []).optional
    assert contracts.Weights("seeded", "").seed == 0
    case = contracts.Case("a", "b", 64, "hostile")
    assert (case.detections, case.classes) == (0, 0)
    assert operators.load_operators().dtypes == ["float16", "float32", "float64"]
    assert {v.name for v in operators.load_environment().npu} >= {"torch", "CANN"}
    assert operators.load_pipeline().grey_levels > 0


def test_a_contract_says_what_its_subject_is_called():
    assert all(FOLDER.joinpath(f"{name}.toml").is_file() for name in contracts.load_all())


def test_every_derivation_that_ships_names_a_measurement_or_a_source():
    for contract in contracts.load_all().values():
        declared = [*contract.tolerance.values(), *contract.accuracy, *contract.throughput]
        assert all(re.search(r"\[S\]|[Mm]easured|seen", d.derivation) for d in declared)


@pytest.mark.parametrize(
    ("pattern", "replacement", "sentence"),
    [
        ("^stem = 16$", "stem = 16\nstern = 16", "architecture.stern: unknown key; known are stem"),
        ("^stem = 16$", "", "architecture.stem: is missing"),
        ("^stem = 16$", "stem = '16'", "architecture.stem: must be int, not '16'"),
        ("^stem = 16$", "stem = true", "architecture.stem: must be int, not True"),
        ("^ratios = .*$", "ratios = 0.5", "architecture.ratios: must be a list, not 0.5"),
        ("^ratios = .*$", "ratios = [0.5, 'x']", "architecture.ratios[1]: must be float, not 'x'"),
        ("^seed = 0$", "seed = 0.5", "training.seed: must be int, not 0.5"),
        ("^box_px = .*$", "box_px = nan", "tolerance.reference.box_px: must be finite, not nan"),
        ("^box_px = .*$", "box_px = inf", "tolerance.reference.box_px: must be finite, not inf"),
        (
            "^box_px = .*$",
            "box_px = -1e-9",
            "tolerance.reference.box_px: must not be negative, not -1e-09",
        ),
        (
            "^borderline = .*$",
            "borderline = 1.0",
            "tolerance.reference.borderline: must be a share below 1",
        ),
        ("^floor = .*$", "floor = nan", "accuracy[0].floor: must be finite, not nan"),
        ("^source = .*$", 'source = "  "', "source: must not be empty"),
        (
            "^category_ids = .*$",
            "category_ids = []",
            "category_ids: must not be empty: nothing would be checked",
        ),
        (
            "^category_ids = .*$",
            "category_ids = [3, 1, 7, 18, 44, 90]",
            "category_ids: must ascend, each once: a label is an index into it",
        ),
        (
            "^category_ids = .*$",
            "category_ids = [1, 1, 7, 18, 44, 90]",
            "category_ids: must ascend, each once: a label is an index into it",
        ),
        (
            "^category_ids = .*$",
            "category_ids = [1, 3, 7]",
            "category_ids: has 3 ids, but architecture.classes is 6",
        ),
        (
            '^dtype = "float32"$',
            'dtype = "float8"',
            "input.dtype: 'float8' is none of float16, float32, float64, int32, int64",
        ),
        (
            '^device_dtypes = .*"float32".*$',
            'device_dtypes = ["float32", "half"]',
            "output[0].device_dtypes: 'half' is none of float16, float32, float64, int32, int64",
        ),
        (
            '^device_dtypes = .*"float32".*$',
            "device_dtypes = []",
            "output[0].device_dtypes: must not be empty: nothing would be checked",
        ),
        ("^shape = .100, 4.$", "shape = [400]", "output[0].axes: names 2 axes of 1"),
        (
            "^side = 320$",
            "side = 321",
            "case[2].side: 321 is not among the input's sides [256, 320]",
        ),
        (
            '^kind = "scene"$',
            'kind = "picture"',
            "case[0].kind: 'picture' is none of photograph, scene, hostile",
        ),
        (
            "^detections = 3$",
            "detections = 0",
            "case[0].detections: a lively case must show some, of some classes",
        ),
        (
            "^looks = .*$",
            "looks = [400, 200]",
            "accuracy[0].paired.looks: must be ascending numbers of images, from 2 on",
        ),
        (
            "^resamples = .*$",
            "resamples = 999",
            "accuracy[0].paired.resamples: are too few: no resample lies beyond a bound",
        ),
        (
            "^confidence = .*$",
            "confidence = 0.991",
            "accuracy[0].paired.accept: spends 0.01, more than confidence leaves: 0.009",
        ),
        (
            "^reject = .0.001",
            "reject = [0.002",
            "accuracy[0].paired.reject: spends 0.011, more than confidence leaves: 0.01",
        ),
        (
            "^accept = .*$",
            "accept = [0.01]",
            "accuracy[0].paired.accept: must have one error for each of the 7 looks",
        ),
        (
            "^reject = .*$",
            "reject = [0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.0]",
            "accuracy[0].paired.reject: must not be negative, and not 0 at the last look: "
            "it would not decide",
        ),
        (
            "^accept = .0.0,",
            "accept = [-0.1,",
            "accuracy[0].paired.accept: must not be negative, and not 0 at the last look: "
            "it would not decide",
        ),
        (
            "^accept = .*$",
            "accept = [0.0, 0.0, 0.0, 0.0, 0.005, 0.0, 0.005]",
            "accuracy[0].paired.accept: begins too early: 400 images miss a rare loss with 0.15",
        ),
        (
            "^confidence = .*$",
            "confidence = 0.1",
            "accuracy[0].paired.confidence: must be a share between 0.5 and 1",
        ),
        (
            "^margin = .*$",
            "margin = 0.0",
            "comparison[0].margin: must be a share above 0 and below 2",
        ),
        (
            "^error = .*$",
            "error = 0.5",
            "comparison[0].error: must be a share above 0 and below 0.5",
        ),
        (
            "^processes = .*$",
            "processes = 1",
            "comparison[0].processes: must be at least 2: one has nothing to recur in",
        ),
        (
            "^quads = .*$",
            "quads = 3",
            "comparison[0].quads: are too few: two processes of them decide nothing",
        ),
        (
            "^tail = .*$",
            "tail = [99.0]",
            "timing.tail: and its confidence are shares between 0 and 1, not 99",
        ),
        (
            '^name = "crowd"$',
            'name = "scene"',
            "case[1].name: 'scene' is taken; a case is recorded under its name",
        ),
        (
            r"(?s)^\[tolerance.aie\]$(.*?)^\[tolerance.aie.caught\]$",
            r"[tolerance.npu]\1[tolerance.npu.caught]",
            "tolerance.aie: is missing; each of reference, aie needs one",
        ),
        (
            '^derivation = """[^"]*"""$',
            'derivation = "placeholder"',
            "tolerance.reference.derivation: 'placeholder' is no derivation; say in a sentence "
            "where the figures come from",
        ),
        ("^.timing.$", "[timings]", "timings: unknown key; known are id, source, category_ids"),
        ("^.timing.$", "[[timing]]", "timing: must be a table, not [{'rounds': 200"),
        ("^.tolerance.aie.$", "[[tolerance.aie]]", "tolerance.aie: must be a table, not [{"),
        ("^source = .*$", "source = ", "file: is not TOML: "),
    ],
)
def test_a_contract_that_says_something_else_is_refused(refused, pattern, replacement, sentence):
    assert refused(changed(pattern, replacement)).startswith(sentence)


@pytest.mark.parametrize("value", ["3", "'x'", "true"])
def test_a_number_is_no_table(refused, value):
    said = {"3": "3", "'x'": "'x'", "true": "True"}[value]
    sentence = f"tolerance: must be a table, not {said}"
    assert refused(f"tolerance = {value}\n{cut('tolerance')}") == sentence


def cut(key: str) -> str:
    """The shipped contract without any table of that name."""
    text = SHAPES.read_text("utf-8")
    return re.sub(rf"^\[+{key}[^\]]*\]+[^\n]*\n(?:(?!\[).*\n)*", "", text, flags=re.M)


@pytest.mark.parametrize("key", ["output", "case", "tolerance", "accuracy"])
def test_an_empty_list_would_disarm_its_checks_and_is_refused(refused, key):
    empty = "{}" if key == "tolerance" else "[]"
    sentence = f"{key}: must not be empty: nothing would be checked"
    assert refused(f"{key} = {empty}\n{cut(key)}") == sentence


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "none.toml"
    with pytest.raises(ContractError) as refusal:
        contracts.load(path)
    assert str(refusal.value) == f"{path}: file: does not exist; restore it from version control"


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"id = '\xff'")
    with pytest.raises(ContractError, match="binary.toml: file: is not TOML: 'utf-8' codec"):
        contracts.load(path)
