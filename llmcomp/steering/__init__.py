"""Steering: something in front of every window of a text, and what it costs.

    choices.py       what a user asks for -> candidates
    settings.py      how a prompt is trained
    fit.py           trains it (torch)
    soft_prompt.py   vectors, and the .steer files that carry them
    priors.py        hyper-priors: vectors <-> bits
    kinds.py         what a blob's header says <-> vectors

::

    llmcomp.compress(text, steer=Trained(Training(n_virtual_tokens=8), Laplace(levels=16)))
"""

from __future__ import annotations

from llmcomp.steering.choices import Auto, Coded, Trained
from llmcomp.steering.kinds import NoSteering, RandomSteering, TextSteering, TrainedSteering
from llmcomp.steering.priors import Empirical, Gaussian, Laplace, LloydMax
from llmcomp.steering.settings import Training
from llmcomp.steering.soft_prompt import SoftPrompt

__all__ = [
    "Auto",
    "Coded",
    "Empirical",
    "Gaussian",
    "Laplace",
    "LloydMax",
    "NoSteering",
    "RandomSteering",
    "SoftPrompt",
    "TextSteering",
    "Trained",
    "TrainedSteering",
    "Training",
]
