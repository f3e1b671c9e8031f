r"""Exact theory of rectified integrators of one channel (paper, section 4.2 and appendices I and J).

Shapes: weights `... x n x n`, encoder and decoder `... x n x 1` (as for one channel in `lib.theory.linear`), decay
and scale a
number or `...`; leading dimensions are a batch of independent networks. The rectifier's derivative at zero is 1/2.
"""
