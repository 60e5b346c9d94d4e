"""Images and targets as torch gets them, what is found in a held-out set, and how full a card was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.training_modules import CLASSES, COUNT, coco, with_objects

pytest_plugins = ["tests.training_files"]


def test_a_sample_is_what_torchvision_wants(data_worker, set_data, set_file, set_images):
    reply = data_worker.call("samples", data=set_data, picks=[[0, False]], timeout=60)
    sample = coco.read(set_file, set_images, CLASSES, training=True)[0]
    kinds = reply.result["kinds"]
    assert [kinds[k] for k in ("image", "boxes")] == ["torch.float32"] * 2
    assert [kinds[k] for k in ("labels", "image_id")] == ["torch.int64"] * 2
    pixels = coco.pixels(sample).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert np.array_equal(reply.arrays["image0"], pixels)
    assert np.array_equal(reply.arrays["boxes0"], sample.boxes)
    assert reply.arrays["image_id0"] == sample.image_id and not reply.arrays["flip0"]


def test_a_flip_moves_the_pixels_and_the_boxes_together(data_worker, set_data):
    arrays = data_worker.call(
        "samples", data=set_data, picks=[[2, False], [2, True]], timeout=60
    ).arrays
    width = arrays["image0"].shape[2]
    assert np.array_equal(arrays["image1"], arrays["image0"][:, :, ::-1]) and arrays["flip1"]
    for (x1, y1, x2, y2), mirrored in zip(arrays["boxes0"], arrays["boxes1"]):
        assert mirrored.tolist() == [width - x2, y1, width - x1, y2] and x1 < x2
    assert len(arrays["boxes0"]) and np.array_equal(arrays["labels0"], arrays["labels1"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_feeds_what_was_drawn_whatever_its_processes(data_worker, set_data, workers):
    result = data_worker.call("feed", data=set_data, workers=workers, timeout=60).result
    assert result["fed"] == result["drawn"] and len(result["fed"]) == (COUNT - 1) // 2
    assert {flip for batch in result["fed"] for _, flip in batch} == {True, False}


def test_a_replay_names_an_image_that_the_set_lacks(data_worker, set_data):
    replay = [[[139, True]], [[146, False]]]
    assert data_worker.call("feed", data=set_data, workers=0, replay=replay).result["fed"] == replay
    with pytest.raises(Exception, match="image 140 is not in .*; correct the id"):
        data_worker.call("feed", data=set_data, workers=0, replay=[[[140, True]]])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_one_sentence_even_from_a_loader_s_process(
    data_worker, set_data, edited_set, set_images, workers
):
    path = edited_set(with_objects(*[(1, [5, 5, 20, 20])]))
    doubled = json.loads(path.read_text())
    doubled["images"].append(dict(doubled["images"][0], id=10))
    doubled["annotations"].append(dict(doubled["annotations"][0], id=5, image_id=10))
    path.write_text(json.dumps(doubled))
    bad = dict(set_data, annotations=str(path))
    sentence = data_worker.call("refused", data=bad, workers=workers, timeout=60).result["sentence"]
    assert (
        sentence.startswith(str(set_images)) and "\n" not in sentence and "says 100x80" in sentence
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_detections_are_a_table_and_leave_no_trace(
    data_worker, set_data, set_file, set_images, workers
):
    reply = data_worker.call("detect", data=set_data, workers=workers, timeout=60)
    samples = coco.read(set_file, set_images, CLASSES, training=False)
    expected = [
        [s.image_id, 1, 2, s.width - 1, s.height - 2, coco.pixels(s).mean() / 255] for s in samples
    ]
    np.testing.assert_allclose(reply.arrays["table"][:, :6], expected, rtol=1e-5)
    assert set(reply.arrays["table"][:, 6]) == {3} and len(expected) == COUNT
    assert reply.result["before"] == reply.result["after"]
    assert reply.result["before"][0] == [True, False, True]


def test_an_evaluation_that_fails_restores_the_modes_too(data_worker, set_data):
    result = data_worker.call("detect", data=set_data, workers=0, fails=True, timeout=60).result
    assert result["error"] == "no memory" and result["before"] == result["after"]


def test_an_evaluation_can_be_limited_to_the_first_images(data_worker, set_data):
    reply = data_worker.call("detect", data=set_data, workers=0, limit=5, timeout=60)
    assert reply.arrays["table"][:, 0].tolist() == reply.result["ids"][:5]


def test_two_ranks_find_together_what_one_finds(
    data_worker, fresh_worker, set_data, edited_set, tmp_path
):
    odd = dict(
        set_data, annotations=str(edited_set(_first_images(5)))
    )  # three for one, two for the other
    alone = data_worker.call("detect", data=odd, workers=0, timeout=60).arrays["table"]
    pair = fresh_worker.call("detect_on_two", data=odd, folder=str(tmp_path), timeout=90).arrays
    assert np.array_equal(pair["rank0"][:, :6], alone[:, :6]) and pair["rank1"].shape == (0, 7)
    assert [int(pair[f"seen{rank}"]) for rank in range(2)] == [3, 2]


def _first_images(count):
    def change(content):
        content["images"] = content["images"][:count]
        ids = {image["id"] for image in content["images"]}
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] in ids]

    return change


def test_an_image_that_two_ranks_saw_counts_once(data_worker):
    a, b = (np.zeros((3, 7)) for _ in range(2))
    a[:, 0], b[:, 0] = [1, 5, 5], [5, 3, 3]
    table = data_worker.call("merge", arrays={"a": a, "b": b}).arrays["table"]
    assert table[:, 0].tolist() == [1, 3, 3, 5, 5]


@pytest.mark.parametrize(
    ("used", "reserved", "peak"),
    [
        (38, 37, 39),  # nothing was given back
        (11, 10, 39),  # after a retry that was: still what it once was
        (13, 10, 40),  # more lies beside it since then: never more than there is
    ],
)
def test_a_cards_peak_is_not_what_is_left_of_it_at_the_end(data_worker, used, reserved, peak):
    found = data_worker.call("card_peak", used=used, reserved=reserved, most=38, total=40)
    assert found.result["peak"] == peak
