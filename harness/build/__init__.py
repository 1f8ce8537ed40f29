"""Compiles .tflite models to C calls of the kernels in firmware/engine."""

from __future__ import annotations

from harness.build.emit import emit_c
from harness.build.graph import Graph
from harness.build.plan import Plan, plan_memory
from harness.build.tflite_file import parse_tflite

__all__ = ["Graph", "Plan", "emit_c", "parse_tflite", "plan_memory"]
