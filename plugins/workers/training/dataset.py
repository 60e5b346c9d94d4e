"""A COCO-format set as torchvision's detection networks want it."""

from __future__ import annotations

from pathlib import Path

import coco
import torch
from refusal import Refusal


class Dataset(torch.utils.data.Dataset):
    """Images and targets by `(index, flip)`; an index alone means no flip.

    An image is float32 (3, height, width) RGB in [0, 1]. A target holds boxes float32 (n, 4) xyxy in
    px, labels int64 (n,) (raw category ids), image_id int64 () and flip bool (). Nothing random is
    drawn here: whether an image is mirrored is the sampler's decision, so that it can be replayed.

    Args:
        annotations, images: instances JSON and the folder of its images.
        classes: outputs of the network's class head.
        train: leave out images without objects, as training does and evaluation does not.
    Raises Refusal, at once or at the image concerned.
    """

    def __init__(
        self, annotations: Path | str, images: Path | str, classes: int, train: bool = True
    ) -> None:
        self.name = str(annotations)
        self.samples = coco.read(annotations, images, classes, train)
        self.ids = [sample.image_id for sample in self.samples]
        self.sizes = [(sample.width, sample.height) for sample in self.samples]
        self._places = {image_id: index for index, image_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.samples)

    def index_of(self, image_id: int) -> int:
        """The place of an image in this set; Refusal where it has none."""
        if image_id not in self._places:
            raise Refusal(f"image {image_id} is not in {self.name}; correct the id")
        return self._places[image_id]

    def __getitem__(self, pick: tuple | int) -> tuple[torch.Tensor, dict]:
        index, flip = (pick, False) if isinstance(pick, int) else pick
        sample = self.samples[index]
        image = torch.from_numpy(coco.pixels(sample)).permute(2, 0, 1).contiguous().float() / 255
        boxes = torch.from_numpy(sample.boxes.copy())
        if flip:
            image = image.flip(2)
            boxes[:, [0, 2]] = sample.width - boxes[:, [2, 0]]
        target = {
            "boxes": boxes,
            "labels": torch.from_numpy(sample.labels.copy()),
            "image_id": torch.tensor(sample.image_id),
            "flip": torch.tensor(bool(flip)),
        }
        return image, target


def collate(samples: list[tuple]) -> tuple[list[torch.Tensor], list[dict]]:
    """Images of several sizes stay a list; the network pads them."""
    images, targets = zip(*samples)
    return list(images), list(targets)
