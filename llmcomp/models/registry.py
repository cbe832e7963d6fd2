"""The Hub models that have a name here: where they come from, and how they are built.

In: nothing. Out: plain values, so that a page can say what a model would cost without loading
torch, and a public Space can refuse every other model.

A commit is pinned wherever one has been seen with safetensors weights: a blob names the commit it
was made with, so a model that moved would leave it without a decoder. One without a pin is fetched
at its newest commit, and no public Space offers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["REGISTRY", "Registered", "named_by"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A model of the Hub that has a name here.

    Attributes:
        name: as people call it.
        repository: Hub id ``owner/name``.
        revision: the commit, None if none is pinned.
        architecture: the fields of its ``config.json`` that decide its size.
        n_parameters: how many numbers were trained; tables used twice count once.
        tied: whether the head is the embedding, which is one table there and two here.
    """

    name: str
    repository: str
    revision: str | None
    architecture: Mapping[str, Any]
    n_parameters: int
    tied: bool = False

    @property
    def source(self) -> str:
        """What blobs call it: ``owner/name@commit``."""
        return f"{self.repository}@{self.revision}"

    @property
    def n_layers(self) -> int:
        """Layers that a token goes through one after the other."""
        return int(self.architecture["num_hidden_layers"])

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return int(self.architecture["vocab_size"])

    def weight_bytes(self, dtype: str) -> int:
        """Memory of the weights as they are held, to a few percent and without loading torch.

        Args:
            dtype: ``float64``, ``float32``, ``bfloat16`` or ``int8``. The head is never shorter
                than float32 unless the weights are int8.
        """
        width, head_width = {"float64": (8, 8), "float32": (4, 4), "bfloat16": (2, 4)}.get(
            dtype, (1, 1)
        )
        head = self.vocabulary * int(self.architecture["hidden_size"])
        body = self.n_parameters - (0 if self.tied else head)
        return body * width + head * head_width

    def cache_bytes(self, dtype: str) -> int:
        """Memory of the keys and values of one position."""
        heads = int(self.architecture["num_attention_heads"])
        shared = int(self.architecture.get("num_key_value_heads", heads))
        width = int(self.architecture["hidden_size"]) // heads * shared
        return 2 * self.n_layers * width * {"float64": 8, "bfloat16": 2}.get(dtype, 4)


def _gpt_neox(hidden: int, layers: int, heads: int) -> Mapping[str, Any]:
    return {
        "model_type": "gpt_neox",
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": 50304,
    }


def _llama(
    hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any
) -> Mapping[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


_GPT2 = {
    "model_type": "gpt2",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 50257,
}
_SMOLLM2 = {"vocab_size": 49152, "tie_word_embeddings": True}
_QWEN2 = {"model_type": "qwen2", "vocab_size": 151936, "tie_word_embeddings": True}

REGISTRY = {
    model.name: model
    for model in (
        Registered(
            "gpt2",
            "openai-community/gpt2",
            "607a30d783dfa663caf39e06633721c8d4cfcd7e",
            _GPT2,
            124_439_808,
            tied=True,
        ),
        Registered(
            "pythia-70m",
            "EleutherAI/pythia-70m",
            "a39f36b100fe8a5377810d56c3f4789b9c53ac42",
            _gpt_neox(512, 6, 8),
            70_426_624,
        ),
        Registered(
            "pythia-160m",
            "EleutherAI/pythia-160m",
            "50f5173d932e8e61f858120bcb800b97af589f46",
            _gpt_neox(768, 12, 12),
            162_322_944,
        ),
        Registered(
            "pythia-410m",
            "EleutherAI/pythia-410m",
            "9879c9b5f8bea9051dcb0e68dff21493d67e9d4f",
            _gpt_neox(1024, 24, 16),
            405_334_016,
        ),
        Registered(
            "smollm2-135m",
            "HuggingFaceTB/SmolLM2-135M",
            "93efa2f097d58c2a74874c7e644dbc9b0cee75a2",
            _llama(576, 1536, 30, 9, 3, **_SMOLLM2),
            134_515_008,
            tied=True,
        ),
        Registered(
            "smollm2-360m",
            "HuggingFaceTB/SmolLM2-360M",
            "f8027fd0eaeea54caa13c31d31b9fdc459c38b49",
            _llama(960, 2560, 32, 15, 5, **_SMOLLM2),
            361_821_120,
            tied=True,
        ),
        Registered(
            "qwen2.5-0.5b",
            "Qwen/Qwen2.5-0.5B",
            "060db6499f32faf8b98477b0a26969ef7d8b9987",
            _llama(896, 4864, 24, 14, 2, **_QWEN2),
            494_032_768,
            tied=True,
        ),
        Registered(
            "open-llama-3b",
            "openlm-research/open_llama_3b_v2",
            None,
            _llama(3200, 8640, 26, 32, 32, vocab_size=32000),
            3_426_473_600,
        ),
        Registered(
            "open-llama-7b",
            "openlm-research/open_llama_7b",
            None,
            _llama(4096, 11008, 32, 32, 32, vocab_size=32000),
            6_738_415_616,
        ),
    )
}
"""Every one of them by its name, smallest family first."""


def named_by(source: str) -> Registered | None:
    """Finds the model that a blob names, by repository and pinned commit; None if it is none."""
    return next((m for m in REGISTRY.values() if m.revision and m.source == source), None)
