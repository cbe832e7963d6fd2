"""Measuring: the classical compressors, and llmcomp against them."""
