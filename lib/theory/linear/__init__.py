r"""Exact theory of linear integrators (paper, section 3 and appendices A to H), in float64.

Shapes: weights `... x n x n`, encoders and decoders `... x n x D` with columns $e_c$ and $d_c$; leading dimensions are
a batch of independent networks. In the reduced spaces n is 2D. Moments are $d^\dagger W^q e$ for q = 1, 2, ...
"""
