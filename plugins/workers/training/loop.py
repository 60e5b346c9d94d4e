"""The training loop: epochs, batches, one step after another, and what must happen between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import checkpoint
import evaluate
import numpy as np
import optimiser as optimisers
import precision as precisions
import probe as probes
import torch
from clock import Stopwatch, clock_of
from coco import check_enough
from dataset import Dataset, collate
from diary import Diary, Stopped
from sampling import Batches, Replay
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader


class Loop:
    """One rank's training.

    Args:
        plan: what to do; network: on its device, weights filled; rank, world: who this is, of how many.
    """

    def __init__(self, plan: dict, network: nn.Module, diary: Diary, rank: int, world: int) -> None:
        self.plan, self.network, self.diary = plan, network, diary
        self.rank, self.world, self.device = rank, world, plan["device"]
        self.data = Dataset(
            plan["data"]["annotations"], plan["data"]["images"], network_classes(plan)
        )
        self.batches = self._batches()
        self.precision = precisions.KINDS[plan["precision"]](network, self.device)
        self.optimiser = optimisers.make(plan["optimiser"], self.precision.weights())
        self.probe = probes.Probe(network, **plan["probe"])
        self.watch = Stopwatch(clock_of(self.device), barrier=self._barrier, **plan["timing"])
        self.done = 0
        if plan["resume"]:
            self._resume(Path(plan["resume"]))
        self.first = self.done
        length = plan["epoch_iterations"] or len(self.batches)
        self.rates = optimisers.schedule(plan, self.optimiser, length, self.done)
        if plan["resume"]:
            self._restore_optimiser()
        self.model = self._distributed()
        self.trace = {k: [] for k in ("ids", "flips", "groups", "epochs", "lr")}
        self.targets, self.losses, self.images = [], [], 0
        self.modes, self.tables = [], {}
        self.spent = {"evaluation": 0.0, "checkpoint": 0.0}

    def run(self) -> None:
        """Train until the plan's iterations are done."""
        self.network.train()
        self._barrier()
        if self.first and self._evaluation_due():  # a run that was killed before it could look
            self.spent["evaluation"] += self._evaluate(self.plan["evaluate"])
        todo = list(self._todo())
        feed = iter(self._loader([batch for _, batch in todo]))
        for epoch, _ in todo:
            self._iteration(epoch, feed)
        self.probe.before(self.done)
        self.watch.close(self.done - self.first)
        self._check_finite()

    def _todo(self) -> Iterator[tuple[int, list]]:
        """(epoch, batch) of each iteration that is left."""
        done = self.first
        while done < self.plan["iterations"]:
            epoch, position = divmod(done, len(self.batches))
            self.batches.set_epoch(epoch)
            rest = self.plan["iterations"] - done
            for batch in itertools.islice(self.batches.iterate(position), rest):
                yield epoch, batch
                done += 1

    def _loader(self, batches: list) -> DataLoader:
        """One for all epochs: the source starts its readers anew in each, which a short run would pay."""
        return DataLoader(
            self.data,
            batch_sampler=batches,
            num_workers=self.plan["data"]["workers"],
            collate_fn=collate,
            # A loader draws a seed; of the training's own generator it would be seen in a resume.
            generator=torch.Generator(),
        )

    def _iteration(self, epoch: int, feed: Iterator) -> None:
        since = self.done - self.first
        if self.watch.border(since):
            self._check_finite()
        if self.device == "cuda" and since == self.watch.warmup:
            torch.cuda.reset_peak_memory_stats()
        self.diary.tell("DATA", self.done)
        images, targets = self.watch.data(lambda: next(feed))
        self._note(epoch, targets)
        self._poison(images)
        self.diary.tell("CORE", self.done)
        images, targets = self.watch.copy(lambda: self._moved(images, targets))
        self.images += len(images)
        self.probe.before(self.done)
        self.watch.core(lambda: self._step(images, targets))
        self.done += 1
        self.probe.after(self.done, self.device)
        self._pause()

    def _step(self, images: list, targets: list) -> None:
        """Forward, backward and step; reads nothing back, so it never waits for the device."""
        self.precision.clear(self.optimiser)
        with self.precision.context():
            parts = self.model(images, targets)
            loss = sum(parts.values())
        self.precision.backward(loss, self.optimiser)
        self.probe.after_backward(self.done, self.precision.gradients())
        if "clip" in self.plan["optimiser"]:
            nn.utils.clip_grad_norm_(self.precision.weights(), self.plan["optimiser"]["clip"])
        self.trace["lr"].append(self.optimiser.param_groups[0]["lr"])
        self.precision.step(self.optimiser)
        self.rates.step()
        row = (parts["classification"], parts["bbox_regression"], loss)
        self.losses.append(torch.stack([x.detach().double() for x in row]))

    def _note(self, epoch: int, targets: list[dict]) -> None:
        """What was fed, from the tensors themselves."""
        self.trace["ids"].append([int(t["image_id"]) for t in targets])
        self.trace["flips"].append([bool(t["flip"]) for t in targets])
        first = self.data.index_of(self.trace["ids"][-1][0])
        self.trace["groups"].append(self.batches.group(first))
        self.trace["epochs"].append(epoch)
        self.targets.append(probes.targets_digest(targets))

    def _poison(self, images: list) -> None:
        at = self.plan["poison"]
        if at and at["rank"] == self.rank and at["iteration"] == self.done:
            images[0].fill_(float("nan"))

    def _moved(self, images: list, targets: list) -> tuple[list, list]:
        moved = [{k: v.to(self.device) for k, v in t.items()} for t in targets]
        return [image.to(self.device) for image in images], moved

    def _pause(self) -> None:
        """Evaluation and checkpoint, outside the windows that are timed."""
        if self._evaluation_due():
            self.watch.close(self.done - self.first)
            self.spent["evaluation"] += self._evaluate(self.plan["evaluate"])
        plan, last = self.plan["checkpoint"], self.done == self.plan["iterations"]
        if plan and (self.done % plan["every"] == 0 or last):
            self.watch.close(self.done - self.first)
            self._check_finite()
            self.spent["checkpoint"] += self._save(Path(plan["path"]))

    def _evaluation_due(self) -> bool:
        plan = self.plan["evaluate"]
        return bool(plan) and self.done in plan["at"]

    def _evaluate(self, plan: dict) -> float:
        clock = self.watch.clock
        self.diary.tell("EVALUATE", self.done)
        start, before = clock.host(), probes.mode(self.network)
        held_out = Dataset(
            plan["annotations"], plan["images"], network_classes(self.plan), train=False
        )
        table = evaluate.detect(
            self.network,
            held_out,
            self.device,
            plan["batch"],
            self.rank,
            self.world,
            plan["limit"],
            self.plan["data"]["workers"],
            lambda: self.diary.tell("EVALUATE", self.done),
        )
        clock.synchronise()
        self.modes.append(
            {"iteration": self.done, "before": before, "after": probes.mode(self.network)}
        )
        self.tables[f"eval{self.done}_table"] = table
        return clock.host() - start

    def _save(self, path: Path) -> float:
        clock = self.watch.clock
        start = clock.host()
        if self.rank == 0:
            self.diary.tell("CHECKPOINT", self.done)
            checkpoint.save(
                path,
                {
                    "network": self.network.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "precision": self.precision.state(),
                    "done": self.done,
                    "random": torch.get_rng_state(),
                },
            )
        self._barrier()
        return clock.host() - start

    def _resume(self, path: Path) -> None:
        self._saved = checkpoint.load(path)
        self.network.load_state_dict(self._saved["network"])
        self.precision.load(self._saved["precision"])
        torch.set_rng_state(self._saved["random"])
        self.done = self._saved["done"]

    def _restore_optimiser(self) -> None:
        self.optimiser.load_state_dict(self._saved.pop("optimiser"))

    def _check_finite(self) -> None:
        """Look at the losses since the last look; the rank that went wrong first names the images.

        Raises:
            Stopped: each rank ends, and so the job does.
        """
        if not self.losses or not isinstance(self.losses[-1], torch.Tensor):
            return
        start = next(i for i, loss in enumerate(self.losses) if isinstance(loss, torch.Tensor))
        self.losses[start:] = torch.stack(self.losses[start:]).cpu().numpy()
        bad = [i for i in range(start, len(self.losses)) if not np.isfinite(self.losses[i]).all()]
        mine = self.first + bad[0] if bad else self.plan["iterations"] + 1
        earliest = self._earliest(mine)
        if earliest > self.plan["iterations"]:
            return
        if bad and mine == earliest:
            self._tell_culprits(bad[0])
        # torchrun ends all ranks when it sees one that has ended: none may before the images are named.
        # Whoever dies at it ends this wait as that of any other collective.
        self._barrier()
        raise Stopped

    def _tell_culprits(self, index: int) -> None:
        iteration, ids = self.first + index, self._culprits(index)
        where = f"the loss of rank {self.rank} is not finite at iteration {iteration}"
        sentence = f"{where}: images {', '.join(map(str, ids))}"
        self.diary.tell("NONFINITE", iteration, sentence=sentence, images=ids)

    def _earliest(self, mine: int) -> int:
        if self.world == 1:
            return mine
        found = torch.tensor([mine], device=self.device)
        torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MIN)
        return int(found.item())

    def _culprits(self, index: int) -> list[int]:
        """The images of a batch that are not finite themselves; else all of the batch."""
        ids, flips = self.trace["ids"][index], self.trace["flips"][index]
        images = [self.data[self.data.index_of(i), f][0] for i, f in zip(ids, flips)]
        self.done, done = self.first + index, self.done
        self._poison(images)
        self.done = done
        return [i for i, image in zip(ids, images) if not image.isfinite().all()] or ids

    def _batches(self) -> Batches:
        plan, data = self.plan, self.data
        if plan["replay"]:
            mine = [iteration[self.rank] for iteration in plan["replay"]]
            return Replay(data, mine, plan["data"]["group_factor"])
        check_enough(len(data), plan["batch"], self.world, plan["data"]["annotations"])
        return Batches(
            data.sizes,
            batch=plan["batch"],
            rank=self.rank,
            world=self.world,
            seed=plan["seed"],
            flip=plan["data"]["flip"],
            group_factor=plan["data"]["group_factor"],
        )

    def _distributed(self) -> nn.Module:
        if self.world == 1:
            return self.network
        devices = [torch.cuda.current_device()] if self.device == "cuda" else None
        return DistributedDataParallel(self.network, device_ids=devices)

    def _barrier(self) -> None:
        if self.world > 1:
            torch.distributed.barrier()


def network_classes(plan: dict) -> int:
    """Outputs of the network's classifier; a label must lie below."""
    return plan["network"]["classes"]
