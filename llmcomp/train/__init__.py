"""Trains the embedded and nano models: data, tokenizer, optimiser, releases, model card.

In: texts under ``LLMCOMP_DATA``. Out: folders under ``assets/``. The rest of llmcomp never imports
this package; it needs torch and transformers, which the app does not.
"""
