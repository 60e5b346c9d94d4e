"""Each rule of waivers by itself: their scope and their file."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from plugins import waivers
from plugins.failure import LabError
from plugins.ledger import Entry
from plugins.waivers import Waiver

HOUSE = Path(__file__).resolve().parent.parent
TODAY = datetime.date(2026, 3, 10)
NODE = "conformance/test_outputs.py::TestBoxes::test_range[model-aie-bus]"
RIGHT = {
    "id": "W-1",
    "test": "*bus]",
    "clause": "outputs.range",
    "reason": "it rescales",
    "owner": "ops",
    "issue": "https://example.org/1",
    "expires": TODAY,
}


def waiver(**fields) -> Waiver:
    return Waiver(**{**RIGHT, **fields})


def entry(**fields) -> Entry:
    right = {"nodeid": NODE, "clause": "outputs.range", "subject": "model", "backend": "aie"}
    return Entry(**{**right, **fields})


# --- scope ---


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        ({"test": NODE}, True),
        ({"test": "test_outputs.py::TestBoxes::test_range[model-aie-bus]"}, True),
        ({"test": "TestBoxes::test_range[model-aie-bus]"}, True),
        ({"test": "test_range[model-aie-bus]"}, False),
        ({"test": "*"}, True),
        ({"test": "*-bu?]"}, True),
        ({"test": "*-b?]"}, False),
        ({"test": "*.model-aie-bus]"}, False),
        ({"subject": "mod*"}, True),
        ({"subject": "mode"}, False),
        ({"backend": "a?e"}, True),
        ({"backend": ""}, False),
        ({"clause": "outputs.*"}, False),
    ],
)
def test_a_waiver_covers_its_test_clause_and_actors(scope, covers):
    assert waiver(**{"test": "*", **scope}).covers(entry()) is covers


def test_a_star_stands_for_lines_too():
    assert waiver(test="*").covers(entry(nodeid="test_a[x\ny]"))
    assert waiver(test="test_a*").covers(entry(nodeid="test_a[x\ny]"))


def test_a_waiver_says_all_but_what_it_matched():
    said = waiver(matched=[NODE]).as_dict()
    assert said == {**RIGHT, "subject": "*", "backend": "*", "expires": TODAY.isoformat()}


# --- the file ---


def written(path: Path, *entries: dict, top: str = "max = 2\ninconclusive_days = 3") -> Path:
    lines = [top]
    for fields in entries:
        lines.append("[[waiver]]")
        for key, value in fields.items():
            shown = value if isinstance(value, (datetime.date, int)) else f'"{value}"'
            lines.append(f"{key} = {shown}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "waivers.toml"


def test_the_example_in_the_house_s_file_is_a_waiver_of_a_test_that_exists(path):
    text = (HOUSE / waivers.DEFAULT_FILE).read_text(encoding="utf-8")
    example = [line[2:] for line in text.splitlines() if line.startswith("# ") and " = " in line]
    path.write_text("\n".join(["max = 1", "[[waiver]]", *example]), encoding="utf-8")
    (one,) = waivers.load(path, TODAY)
    name, sources = one.test.partition("[")[0], (HOUSE / "conformance").glob("test_*.py")
    wanted = f'@pytest.mark.clause("{one.clause}")\ndef {name}('
    assert [file for file in sources if wanted in file.read_text(encoding="utf-8")]
    node = f"conformance/test_numerics.py::{name}[{one.subject}-coffee-{one.backend}]"
    assert one.covers(entry(nodeid=node, clause=one.clause, subject=one.subject))


def refusal(path: Path, *entries: dict, **more) -> str:
    with pytest.raises(LabError) as error:
        waivers.load(written(path, *entries, **more), TODAY)
    return str(error.value).replace(f"{path}: ", "", 1)


def test_as_many_as_are_allowed_are_read_in_their_order(path):
    second = {**RIGHT, "id": "W-0", "subject": "model", "backend": "aie"}
    first, other = waivers.load(written(path, RIGHT, second), TODAY)
    assert first == waiver()
    assert (other.id, other.subject, other.backend) == ("W-0", "model", "aie")
    assert waivers.load(written(path), TODAY) == []
    assert waivers.load(written(path, top="max = 0"), TODAY) == []


@pytest.mark.parametrize(
    ("entries", "top", "sentence"),
    [
        ([RIGHT] * 2, "max = 1", "2 waivers, and max is 1; remove one first"),
        ([RIGHT, RIGHT], "max = 2", "W-1: two waivers have this id; rename one"),
        ([], "max = true", "max: give the greatest number of waivers, e.g. max = 5"),
        ([], "max = -1", "max: give the greatest number of waivers, e.g. max = 5"),
        ([], "", "max: give the greatest number of waivers, e.g. max = 5"),
        ([], "max = 1\nwaiver = 3", "waiver: write each one as a [[waiver]] table"),
        ([], "max = 1\nwaiver = [1]", "waiver: write each one as a [[waiver]] table"),
        ([], "min = 1\nb = 1\na = 1",
         "unknown key 'a'; it holds max, inconclusive_days and [[waiver]] entries"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_sentence(path, entries, top, sentence):
    assert refusal(path, *entries, top=top) == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"expires": TODAY - datetime.timedelta(days=1)}, "W-1: expired on "),
        ({"expires": "soon"}, "W-1: expires: write a date, e.g. 2026-12-31"),
        ({"expires": 3}, "W-1: expires: write a date, e.g. 2026-12-31"),
        ({"owner": "  "}, "W-1: owner: write a text that is not empty"),
        ({"owner": 3}, "W-1: owner: write a text that is not empty"),
        ({"subject": ""}, "W-1: subject: write a text that is not empty"),
        ({"backend": ""}, "W-1: backend: write a text that is not empty"),
        ({"matched": "x"}, "W-1: unknown key 'matched'; the keys are id, test, clause, "),
    ],
)
def test_what_is_wrong_with_a_waiver_is_one_sentence(path, fields, sentence):
    assert refusal(path, {**RIGHT, **fields}).startswith(sentence)


@pytest.mark.parametrize("key", [key for key in RIGHT if key != "id"])
def test_every_waiver_says_everything(path, key):
    fields = {name: value for name, value in RIGHT.items() if name != key}
    assert refusal(path, fields) == f"W-1: has no {key}; every waiver says it"


def test_one_without_a_name_is_called_by_its_number(path):
    nameless = {name: value for name, value in RIGHT.items() if name != "id"}
    assert refusal(path, RIGHT, nameless) == "waiver 2: has no id; every waiver says it"


@pytest.mark.parametrize("days", [0, 14])
def test_patience_is_a_number_of_days(path, days):
    assert waivers.patience(written(path, top=f"inconclusive_days = {days}")) == days


@pytest.mark.parametrize("text", ["-1", "true", '"3"', "1.5"])
def test_patience_is_nothing_else(path, text):
    with pytest.raises(LabError, match="inconclusive_days: say for how many days"):
        waivers.patience(written(path, top=f"inconclusive_days = {text}"))
