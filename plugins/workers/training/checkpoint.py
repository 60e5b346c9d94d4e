"""Everything that a killed training needs to go on as if nothing had happened, in one file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from refusal import Refusal

SCHEMA = 1


def save(path: Path, state: dict) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        Refusal: the disk is full or the folder cannot be written; the old checkpoint is untouched.
    """
    content = io.BytesIO()
    torch.save({"schema": SCHEMA, **state}, content)
    draft = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Refusal(
            f"{path}: the checkpoint cannot be written ({error.strerror}); make room there, or "
            "name another folder by --artifacts"
        ) from None


def load(path: Path) -> dict:
    """Read a checkpoint of ours; a Refusal where it is missing, cut short or something else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["schema"] != SCHEMA:
            raise ValueError(f"schema {state['schema']}")
    except FileNotFoundError:
        raise Refusal(f"{path}: there is no such checkpoint; start without it") from None
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        raise Refusal(
            f"{path}: is no whole checkpoint ({type(error).__name__}: {reason}); delete it and "
            "start again"
        ) from None
    return state
