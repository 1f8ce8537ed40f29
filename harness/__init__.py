"""Benchmark optimized TinyML models on real and emulated boards."""
