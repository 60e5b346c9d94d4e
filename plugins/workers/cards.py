"""Prints what torch sees of the GPUs, as JSON; runs as a child of its own."""

from __future__ import annotations

import json
import warnings


def seen():
    """torch's version, the CUDA that it was built for, and each card that it can use."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        cards = [_card(torch.cuda, number) for number in range(count)]
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "cards": cards,
        "warning": next((str(one.message).split("\n")[0] for one in said), ""),
    }


def _card(cuda, number):
    properties = cuda.get_device_properties(number)
    return {
        "name": properties.name,
        "memory": properties.total_memory,
        "capability": f"sm_{properties.major}{properties.minor}",
    }


if __name__ == "__main__":
    print(json.dumps(seen()))
