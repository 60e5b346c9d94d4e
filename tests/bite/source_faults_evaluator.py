"""Faults between detections and mAP: the set, the engines, the joining of shards."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

accuracy = partial(seed, "plugins/checks/accuracy.py")
matching = partial(seed, "plugins/checks/matching.py")
infer = partial(seed, "plugins/workers/infer.py")
npus = partial(seed, "plugins/drivers/npus.py")
layout = partial(seed, "fixtures/coco_layout.py")
MAP, COVERAGE = "accuracy.map", "accuracy.coverage"
TWO = "pycocotools and our engine differ"
FLOOR = "mAP is below its floor"
IDS = "    evaluation.params.imgIds = list(ids)\n"
SIZES = "corners[:, 2:] - corners[:, :2],"

EVALUATOR = [
    accuracy(
        "    found = score(\n"
        "        images.annotations, list(images.images), "
        "table_of(images, detections, category_ids)\n    )\n",
        '    good = detections["scores"].max(1) > 0.6\n'
        "    ids = [i for i, kept in zip(images.images, good) if kept]\n"
        "    table = table_of(images, detections, category_ids)\n"
        "    found = score(images.annotations, ids, table[np.isin(table[:, 0], ids)])\n",
        "only_images_with_results",
        "images without a good detection are not scored",
        MAP,
        "images of the set were not scored",
        kin=("EV1",),
    ),
    accuracy(
        IDS,
        "    evaluation.params.imgIds = list(ids)[1:]\n",
        "one_engine_misses_an_image",
        "one of the two engines leaves an image out",
        MAP,
        TWO,
        kin=("EV1",),
    ),
    accuracy(
        "categories = np.asarray(category_ids)[labels]",
        "categories = labels + 1",
        "categories_taken_as_contiguous",
        "labels are taken for category ids",
        MAP,
        FLOOR,
        kin=("EV2",),
    ),
    accuracy(
        SIZES,
        "(corners[:, 2:] - corners[:, :2])[:, ::-1],",
        "width_and_height_swapped",
        "height is written where the width belongs",
        MAP,
        FLOOR,
        kin=("EV3",),
    ),
    accuracy(
        SIZES,
        "corners[:, 2:],",
        "corners_taken_for_sizes",
        "the far corner is written where the size belongs",
        MAP,
        FLOOR,
        kin=("EV3",),
    ),
    accuracy(
        IDS,
        IDS + "    evaluation.params.maxDets = [1, 10, 20]\n",
        "twenty_detections",
        "20 detections of an image are scored",
        MAP,
        TWO,
        kin=("EV5",),
    ),
    accuracy(
        "_quiet(coco.loadRes, table)",
        "_quiet(coco.loadRes, np.round(table, 1))",
        "rounded_for_one_engine",
        "boxes and scores are rounded for pycocotools",
        MAP,
        TWO,
        kin=("EV7",),
    ),
    infer(
        '        rows["scores"].append(scores.reshape(-1))',
        '        rows["scores"].append(scores.reshape(-1).round(1))',
        "scores_of_one_digit",
        "scores are rounded before they are scored",
        MAP,
        "mAP is below its floor",
        kin=("EV7",),
    ),
    accuracy(
        "image, row = np.nonzero(~(scores <= 0))",
        "image, row = np.nonzero(~(scores <= 0.3))",
        "low_scores_left_out",
        "detections below 0.3 are not scored",
        MAP,
        "mAP is below its floor",
        kin=("EV8",),
    ),
    accuracy(
        "np.asarray(ids)[image],",
        "np.asarray(ids)[image - 1],",
        "results_of_the_image_before",
        "each image has the results of its neighbour",
        MAP,
        FLOOR,
    ),
    accuracy(
        "for i in sorted(names)[: limit or None]",
        "for i in sorted(names)[:100]",
        "half_of_the_set",
        "mAP is that of the first 100 images",
        COVERAGE,
        "the set has another size",
        kin=("EV11", "PP10"),
    ),
    infer(
        'rows["boxes"].append(images.restore(boxes, geometry))',
        'rows["boxes"].append(images.restore(boxes, geometry).astype(int))',
        "boxes_cut_to_integers",
        "boxes are cut down to whole pixels before they are scored",
        MAP,
        FLOOR,
    ),
    infer(
        'rows["boxes"].append(images.restore(boxes, geometry))',
        'rows["boxes"].append(images.restore(boxes, geometry).astype(np.float16))',
        "boxes_kept_in_half",
        "boxes are kept in fp16 until they are scored",
        "",
        "",
        missed="fp16 holds boxes of images of 320 px to 0.13 px, and the floor leaves 0.4 points",
    ),
    infer(
        'rows["boxes"].append(images.restore(boxes, geometry))',
        'rows["boxes"].append(np.asarray(boxes, np.float64).reshape(-1, 4))',
        "boxes_not_restored",
        "boxes are scored in pixels of the input",
        MAP,
        FLOOR,
        kin=("EV3",),
    ),
    npus(
        "shares = [np.arange(len(paths))[k :: len(self.npus)] for k in range(len(self.npus))]",
        "shares = [np.arange(len(paths))[k :: len(self.npus)] for k in range(len(self.npus) - 1)]",
        "last_shard_lost",
        "the images of the last card are left out",
        MAP,
        "came back",
        kin=("PP10",),
    ),
    npus(
        "order = np.argsort(index)",
        "order = np.arange(len(index))",
        "shards_not_put_in_order",
        "the cards' results are joined card by card, not in the order of the images",
        MAP,
        FLOOR,
    ),
    npus(
        "[paths[i] for i in share]",
        "[paths[i] for i in sorted(share, reverse=True)]",
        "shard_read_backwards",
        "a card's images are read from the last to the first",
        MAP,
        FLOOR,
    ),
    layout(
        '"id": len(dataset["annotations"]) + 1,',
        '"id": len(dataset["annotations"]),',
        "annotation_of_id_zero",
        "the first annotation has the id 0, which COCO's own code takes for no match",
        MAP,
        "annotation id 0 means",
        kin=("EV6",),
    ),
    matching(
        'row.get("iscrowd", 0)',
        '0 * row.get("iscrowd", 0)',
        "crowds_are_objects",
        "a region of a crowd counts as an object in one of the two engines",
        MAP,
        TWO,
        kin=("EV6",),
    ),
    layout(
        '"bbox": list(shape.box),',
        '"bbox": [v + 2 for v in shape.box],',
        "another_annotation_file",
        "the objects of the annotations lie 2 px off those of the images",
        MAP,
        FLOOR,
        kin=("EV10",),
    ),
    seed(
        "plugins/workers/protocol.py",
        "return header, {name: _array(stream, *spec) for name, *spec in listed}",
        "return header, {n: _array(stream, *s) for n, *s in sorted(listed)}",
        "arrays_read_in_another_order",
        "arrays are read in the order of their names, not in that of the wire",
        MAP,
        "labels are no classes",
        kin=("EX6",),
    ),
]
