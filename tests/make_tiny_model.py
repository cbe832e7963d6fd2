"""Made ``tests/models/tiny``, the frozen model of the tests and of the golden blobs.

Kept as its explanation. Running it again need not give the same weights on another machine, so
the files are what counts: nothing rewrites them, and the golden blobs hold them in place.

    python tests/make_tiny_model.py tests/models/tiny
"""

import sys
from pathlib import Path

import numpy as np
import torch
from hub_tokenizers import TEXT
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

from llmcomp.models.grid import snap_weights
from llmcomp.tokens import BpeTokenizer


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    tokenizer.save(str(directory / "tokenizer.json"))

    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    torch.manual_seed(1)
    model = Qwen3ForCausalLM(config)
    ids = BpeTokenizer.load(directory / "tokenizer.json").encode(TEXT.encode() * 2)
    batch = torch.tensor(np.stack([ids[i : i + 64] for i in range(0, 96, 4)]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):  # enough to prefer some tokens, too little to be sure
        optimizer.zero_grad()
        model(batch, labels=batch).loss.backward()
        optimizer.step()
    weights = {n: snap_weights(p.detach().numpy()) for n, p in model.named_parameters()}
    save_file(weights, directory / "model.safetensors")
    config.save_pretrained(directory)
    counts = np.bincount(ids, minlength=config.vocab_size) + 1
    (directory / "unigram.bin").write_bytes(counts.astype("<u2").tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
