"""Bad input, said in one sentence."""

from __future__ import annotations


class Refusal(Exception):
    """Input that cannot be trained on. The sentence names the file, the field and the cure."""

    def __str__(self) -> str:
        # A DataLoader's process hands on its exceptions as the text of their traceback.
        return super().__str__().rsplit("Refusal: ", 1)[-1].strip()


class Unfit(Refusal):
    """What this machine or its torch cannot do, whatever the input."""
