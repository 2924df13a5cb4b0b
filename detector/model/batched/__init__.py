"""The parts of a training step for a whole batch at once: fixed shapes, masks, and nothing read back.

A GPU can capture such a step as a graph and replay it without waiting for Python.
"""
