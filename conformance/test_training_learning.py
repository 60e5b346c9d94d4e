"""Training learns: a few images by heart, unseen ones well, at the pace of other seeds."""

import numpy as np
import pytest

from plugins.checks.accuracy import score
from plugins.checks.training_learning import (
    check_band,
    check_overfit,
    check_share,
    check_target,
    smoothed,
    stress,
)

pytestmark = pytest.mark.a100


@pytest.mark.clause("training.overfit")
def test_eight_images_are_learnt_by_heart(overfit_run, training, figure):
    losses = overfit_run.ranks[0].arrays["loss"]
    gate = training.gate.overfit
    figure(
        "last of first loss", losses[-gate.last :].mean() / losses[0], expected=f"<= {gate.ratio:g}"
    )
    check_overfit(losses, ratio=gate.ratio, last=gate.last)


@pytest.mark.clause("training.overfit_map")
def test_what_was_learnt_by_heart_is_found_again(overfit_run, overfit_images, training, figure):
    table = overfit_run.ranks[0].arrays[f"eval{training.run.overfit.iterations}_table"]
    found = score(overfit_images.annotations, overfit_images.ids(), table)
    figure(
        "mAP of the training images", found.ap, "%", expected=f">= {training.gate.overfit.map:.0%}"
    )
    check_share(found.ap / 100, floor=training.gate.overfit.map, what="the training images")


@pytest.mark.clause("training.map")
def test_unseen_images_are_understood(accuracy_run, held_out_images, training, figure):
    """Scored against the annotations as they were written, by COCO's own code."""
    table = accuracy_run.ranks[0].arrays[f"eval{training.run.accuracy.iterations}_table"]
    found = score(held_out_images.annotations, held_out_images.ids(), table)
    figure("held-out mAP", found.ap, "%", expected=f">= {training.gate.accuracy.map:.0%}")
    check_share(found.ap / 100, floor=training.gate.accuracy.map, what="held-out images")


@pytest.mark.clause("training.band")
def test_the_loss_falls_as_under_other_seeds(small_run, recorded_curves, training, curve, figure):
    losses, gate = small_run.ranks[0].arrays["loss"], training.gate.band
    mean, spread = recorded_curves.mean(0), gate.sigmas * recorded_curves.std(0, ddof=1)
    steps = np.arange(1, len(losses) + 1)
    band = {"low": mean - spread, "high": mean + spread}
    curve("Loss of the short run", steps, losses, **band, xlabel="iteration", ylabel="loss")
    figure("last smoothed loss", float(smoothed(losses, at=gate.at, width=gate.width)[-1]))
    off = stress(losses, recorded_curves, at=gate.at, width=gate.width)
    figure("share of tolerance used", float(off.max() / gate.sigmas))
    check_band(
        losses,
        recorded_curves,
        at=gate.at,
        width=gate.width,
        sigmas=gate.sigmas,
        seeds=gate.seeds,
    )


@pytest.mark.slow
@pytest.mark.requires("cuda", "coco")
@pytest.mark.clause("training.target")
def test_the_recipe_reaches_its_target(target_launches, training, curve, figure):
    """The published mAP is a first crossing of this target, two epochs after the rate's first drop."""
    recipe, source = training.recipe, training.configured("1x8").published
    scored = [one for one in target_launches if one["map"] is not None]
    figure("mAP at the crossing", scored[-1]["map"], expected=f">= {recipe.target_map}")
    figure("published mAP", source.map)
    figure("epochs", len(scored), expected=f"{source.epochs} in the source, on 1x8")
    figure("e2e_time", sum(one["seconds"] for one in target_launches), "s")
    figure("published e2e_time", f"{source.e2e_time} s on 8 A100")
    figure("first launch", target_launches[0]["begun"])
    figure("killed launches", len(target_launches) - len(scored))
    epochs, maps = zip(*((one["epoch"], 100 * one["map"]) for one in scored))
    curve("mAP by epoch", epochs, maps, xlabel="epoch", ylabel="mAP", unit="%")
    check_target(scored, target=recipe.target_map, epochs=recipe.epochs)
