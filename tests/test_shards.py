"""A set shared among several NPUs: each image once, the same bits as on one card, and who did it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fixtures.cases import shapes as shapes_folder
from plugins import contracts
from plugins.drivers import npus
from plugins.drivers.lab import Lab
from plugins.drivers.subject import Subject
from plugins.failure import LabError

HOUSE = Path(__file__).resolve().parent.parent
MAPPING = """\
\tNPU ID                         Chip ID                        Chip Logic ID                  Chip Name
\t0                              0                              0                              Ascend 310P3
\t0                              1                              1                              Ascend 310P3
\t0                              2                              -                              Mcu
\t8                              0                              2                              Ascend 310P3
"""


class Card:
    """A subject on a card that finds each image's number; `loses` drops the last image."""

    def __init__(self, npu=0, loses=False):
        self.npu, self.asked, self.loses = npu, [], loses
        self.lab = SimpleNamespace(library=lambda role: "")
        self.runs = SimpleNamespace(detect=self.detect)

    def model(self):
        return Path("model.ts")

    def beside(self, place, npu):
        return Card(npu, self.loses)

    def detect(self, backend, paths):
        self.asked += paths
        kept = paths[: len(paths) - self.loses]
        return {"boxes": np.array([[int(path.stem)] for path in kept])}


PATHS = [Path(f"{i}.png") for i in range(7)]


def test_each_image_is_judged_once_and_its_card_is_known():
    cards = npus.Cards(Card(), [0, 3])
    found = cards.detect(PATHS)
    assert found["boxes"].ravel().tolist() == list(range(7))
    assert found["npu"].tolist() == [0, 3, 0, 3, 0, 3, 0]
    assert [len(one.asked) for one in cards.subjects] == [4, 3]


def test_more_cards_than_images_leave_some_idle():
    found = npus.Cards(Card(), [0, 1, 2]).detect(PATHS[:2])
    assert found["npu"].tolist() == [0, 1]


def test_an_image_that_a_card_loses_is_an_error():
    with pytest.raises(LabError, match="7 images were given to npus .0, 1. and 5 came back"):
        npus.Cards(Card(loses=True), [0, 1]).detect(PATHS)


@pytest.mark.parametrize("cause", [LabError, KeyboardInterrupt])
def test_where_one_card_fails_no_other_is_waited_for(cause):
    ended, roles = threading.Event(), []

    def fails(backend, paths):
        raise cause("card 0 is gone")

    def hangs(backend, paths):
        assert ended.wait(20)
        raise LabError("the worker was ended")

    cards = npus.Cards(Card(), [0, 1])
    for one, detect in zip(cards.subjects, (fails, hangs)):
        one.runs.detect = detect
        one.lab.kill = lambda role: roles.append(role) or ended.set()
    with pytest.raises(cause, match="card 0 is gone"):
        cards.detect(PATHS)
    assert roles == ["infer", "infer"]


def test_a_card_that_fails_leaves_the_session_s_other_workers_alone(tmp_path):
    ended = []
    lab = Lab(interpreters={}, artifacts=tmp_path, run=tmp_path)
    lab._workers = {
        role: SimpleNamespace(kill=lambda role=role: ended.append(role))
        for role in ("export", "infer", "device_nms", "ops")
    }
    lab.kill("infer")
    assert ended == ["infer"]


def test_one_card_is_asked_in_the_thread_that_ctrl_c_reaches():
    card = Card()
    threads = []
    detect = card.runs.detect
    card.runs.detect = lambda *given: threads.append(threading.current_thread()) or detect(*given)
    npus.Cards(card, [0]).detect(PATHS)
    assert threads == [threading.main_thread()]


def test_chosen_cards_come_first_then_those_that_are_listed_then_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ASCEND_RT_VISIBLE_DEVICES", raising=False)
    assert npus.numbers() == [0]
    tool = tmp_path / "npu-smi"
    tool.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'info -m' ] && printf '%s' '{MAPPING}'\n")
    tool.chmod(0o755)
    assert npus.numbers() == [0, 1, 2]
    assert npus.numbers(("2", "0")) == npus.numbers(("2", "0"), real=False) == [2, 0]
    assert npus.numbers(real=False) == [0]  # cards of another kind, say


@pytest.mark.parametrize("chosen", [("0", "0"), ("npu0",), ("-1",)])
def test_cards_that_cannot_be_are_refused(chosen):
    with pytest.raises(LabError, match="give numbers of NPUs, each once"):
        npus.numbers(chosen)


def test_two_workers_find_the_same_bits_as_one(tmp_path):
    lab = Lab(interpreters={}, artifacts=HOUSE / ".artifacts", run=tmp_path)
    contract = contracts.load_all()["retinanet_shapes"]
    subject = Subject(contract, lab)
    paths = sorted((shapes_folder(lab, "val", 4) / "val2017").glob("*.png"))
    try:
        one = npus.Cards(subject, [0]).detect(paths)
        two = npus.Cards(subject, [0, 1]).detect(paths)
    finally:
        lab.close()
    assert two.pop("npu").tolist() == [0, 1, 0, 1] and one.pop("npu").tolist() == [0] * 4
    for name in set(one) - {"seconds"}:
        np.testing.assert_array_equal(one[name], two[name], strict=True)
    logs = [path.name for path in (tmp_path / "workers").glob("infer*.log")]
    assert sorted(logs) == ["infer-npu1.log", "infer.log"]


COMMON = """\
\tNPU ID                         : 8
\tChip ID                        : 0
\tMemory Usage Rate(%)           : 3
\tAicore Usage Rate(%)           : 40
\tAicore Freq(MHZ)               : 1080
\tAicore curFreq(MHZ)            : 960
\tTemperature(C)                 : 47
"""


@pytest.fixture
def npu_smi(tmp_path, monkeypatch):
    """npu-smi of a host of three chips, which tells the state of chip 0 of card 8."""
    tool = tmp_path / "npu-smi"
    tool.write_text(
        f'#!/bin/sh\ncase "$*" in "info -m") cat <<X\n{MAPPING}X\n;;'
        f' "info -t common -i 8 -c 0") cat <<X\n{COMMON}X\n;; *) exit 1;; esac\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("ASCEND_RT_VISIBLE_DEVICES", raising=False)


def test_the_state_of_a_card_is_asked_by_its_own_numbers(npu_smi):
    """npu-smi numbers cards and chips, torch_aie the logic ids: 2 is chip 0 of card 8 here."""
    assert npus.numbers() == [0, 1, 2]
    assert npus.state(*npus.place(2)) == {"usage": 40, "clock": 960, "rated": 1080}
    assert npus.state(*npus.place(1)) == {}
    assert npus.place(7) == ("7", "0")


@pytest.mark.parametrize(
    ("named", "numbers", "ours"),
    [("2", [0], 0), ("0,2", [0, 1], 1), ("2, 1", [0], 0), ("2,7,1", [0], 0)],
)
def test_numbers_count_the_cards_that_cann_shows(npu_smi, monkeypatch, named, numbers, ours):
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", named)
    assert npus.numbers() == numbers
    assert npus.state(*npus.place(ours)) == {"usage": 40, "clock": 960, "rated": 1080}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, [{}, {}], ""),
        ({"usage": 0}, [{"clock": 1080, "rated": 1080}] * 3, ""),
        ({"usage": 0, "clock": 100}, [{"clock": 1080}] * 2, ""),
        ({"usage": 40}, [], "40 % of the card's cores were in use before the first step"),
        ({}, [{"clock": 1080}, {"clock": 960}], "the card's clock fell from 1080 to 960 MHz"),
        ({}, [{"rated": 1080}, {"rated": 900}], "the card's rated clock fell from 1080 to 900 MHz"),
        ({}, [{"clock": 300}, {"clock": 960}, {"clock": 1080}], ""),  # five steps, then 200
        ({}, [{"clock": 9}, {"clock": 10}, {"clock": 9}], "the card's clock fell from 10 to 9 MHz"),
    ],
)
def test_a_card_that_is_shared_or_slowed_disturbs(before, after, why):
    found = npus.disturbance(before, *after, idle=5.0)
    assert found == why or (why and found.startswith(why))
