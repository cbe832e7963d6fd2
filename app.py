"""The Space's entry point: builds the page and serves it."""

import contextlib
import threading

with contextlib.suppress(ModuleNotFoundError):
    # On a GPU Space this must come before anything that touches CUDA; elsewhere it is optional.
    import spaces  # noqa: F401

from llmcomp.evaluate.start import warm
from llmcomp.ui.hub_jobs import place_models
from llmcomp.ui.layout import build_demo, launch_options

place_models()  # in this thread and before serving: a GPU that is lent takes weights only here
demo = build_demo()

if __name__ == "__main__":
    threading.Thread(target=warm, daemon=True).start()  # so that the first visitor need not wait
    demo.launch(**launch_options())
