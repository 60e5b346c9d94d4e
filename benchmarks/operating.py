"""How the sequential decision on accuracy does: images it takes, and how often it is wrong.

    python -m benchmarks.operating [--folder DIR] [--trials 100] [--linear 4000] [--out FILE]

The world is the synthetic set, and what CPU and emulator find on 3000 images of it (kept in --folder).
Seeded devices find what the emulator finds, and then something goes wrong. A trial draws images from
that world, with replacement, and decides as the suite does, by the contract's own plan. Rates of less
than a percent need more trials than that: they come from the linear view, in which an image adds its
own part to the loss, found by giving it more weight. Both views are in one table, beside each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE))

from benchmarks import linear  # noqa: E402
from benchmarks.seeded_devices import Device, World, devices  # noqa: E402
from plugins import machine  # noqa: E402
from plugins.checks.sequential import Look, decide  # noqa: E402
from plugins.contracts import load_all  # noqa: E402

SUBJECT, IMAGES, RATE = "retinanet_shapes", 3000, 19.9
COLUMNS = "{:<34} {:>6} {:>22} {:>22} {:>22}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; write it where --out says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=HOUSE / ".artifacts" / "operating")
    parser.add_argument(
        "--trials", type=int, default=100, help="for each device, as the suite does"
    )
    parser.add_argument(
        "--linear", type=int, default=4000, help="for each device, in the linear view"
    )
    parser.add_argument("--only", default="", help="devices whose name holds this")
    parser.add_argument("--out", type=Path, help="e.g. golden/evidence/accuracy_looks.json")
    given = parser.parse_args(arguments)
    asked = load_all()[SUBJECT].accuracy[0]
    looks = [Look(*o) for o in zip(asked.paired.looks, asked.paired.accept, asked.paired.reject)]
    world = World.recorded(given.folder, SUBJECT, IMAGES)
    print(COLUMNS.format("device", "loses", "accepted / rejected", "linear view", "images, 90 %"))
    rows = []
    for device in devices(world, asked.allowed_drop):
        if given.only not in device.name:
            continue
        rows.append(_row(world, device, looks, asked, given.trials, given.linear))
        print(_line(rows[-1]), flush=True)
    if given.out:
        paired = asked.paired
        plan = {"looks": paired.looks, "accept": paired.accept, "reject": paired.reject}
        _write(given, plan, rows)
    return 0


def _write(given: argparse.Namespace, plan: dict, rows: list[dict]) -> None:
    """All rows, or with --only these in the place of those of the same name."""
    if given.only and given.out.is_file():
        names = {row["device"] for row in rows}
        known = json.loads(given.out.read_text())["devices"]
        rows = [row for row in known if row["device"] not in names] + rows
    about = {"provenance": _provenance(given), "plan": plan, "devices": rows}
    text = json.dumps(about, indent=1)
    given.out.write_text(text + "\n")


def _row(world: World, device: Device, looks, asked, trials: int, many: int) -> dict:
    """What became of the trials of one device, in both views."""
    seen = [_trial(world, device, looks, asked, seed) for seed in range(trials)]
    images = sorted(count for _, count in seen)
    row = {
        "device": device.name,
        "points lost": round(device.lost, 3),
        "trials": trials,
        **{word: sum(v == verdict for v, _ in seen) for word, verdict in WORDS.items()},
        "images": {f"{100 * q:.0f} %": images[int(q * (len(images) - 1))] for q in (0.5, 0.9, 1.0)},
        "mean images": round(sum(images) / len(images), 1),
        "seconds of device at 19.9 img/s, mean": round(sum(images) / len(images) / RATE, 1),
    }
    if many and device.linear:
        row["linear view"] = linear.rates(world, device, looks, asked.allowed_drop, many)
    return row


WORDS = {"accepted": "PASS", "rejected": "WORSE", "undecided": "INCONCLUSIVE"}


def _trial(world: World, device: Device, looks, asked, seed: int) -> tuple[str, int]:
    """The verdict on images drawn by a seed, and how many there were."""
    random = np.random.RandomState([seed, 2026])
    drawn = random.randint(0, device.images, looks[-1].images)
    blind = np.broadcast_to(device.blind, device.images)[drawn]
    lost = np.flatnonzero(random.rand(len(drawn)) < blind)
    plan = {"resamples": asked.paired.resamples, "seed": asked.paired.seed}

    def matched(count: int):
        return world.matched(drawn[:count], device, lost)

    last = decide(looks, matched, margin=asked.allowed_drop, **plan).last
    return last.verdict, last.images


def _line(row: dict) -> str:
    known = row.get("linear view")
    shares = "{accepted:.2%} / {rejected:.2%}".format(**known) if known else "-"
    share = f"{row['accepted']} / {row['rejected']} of {row['trials']}"
    return COLUMNS.format(
        row["device"], f"{row['points lost']:.2f}", share, shares, row["images"]["90 %"]
    )


def page_rows(devices: Sequence[dict]) -> list[str]:
    """The rows of the table in docs/verdict.md; a test holds the page to the file that --out wrote."""
    rows = []
    for one in devices:
        known, images = one.get("linear view"), one["images"]
        linear = "{accepted:.2%} / {rejected:.2%}".format(**known) if known else ""
        cells = [
            one["device"],
            f"{one['points lost']:.2f}",
            f"{one['accepted']} / {one['rejected']} of {one['trials']}",
            linear,
            f"{images['50 %']}, {images['90 %']}, {images['100 %']}",
            f"{one['seconds of device at 19.9 img/s, mean']:.0f} s",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _provenance(given: argparse.Namespace) -> dict:
    command = f"python -m benchmarks.operating --trials={given.trials} --linear={given.linear}"
    return {**machine.measured(command, "torch", "numpy"), "images": IMAGES}


if __name__ == "__main__":
    sys.exit(main())
