"""Panels of an interval, so small that functions with known poles have fast Chebyshev series on each."""

import numpy as np


def panels(poles: np.ndarray, z_max: float, *, rho: float, most: int = 200) -> np.ndarray:
    r"""Edges of panels of $[-z_{max}, z_{max}]$ so small that functions with these poles have fast Chebyshev series.

    Halves a panel while a pole lies in its Bernstein ellipse, whose semi-axes add up to `rho` half lengths.

    Args:
        poles: Complex numbers, none of them real.
        z_max: Half the length of all panels together.
        rho: Above 1; a series of p terms is accurate to about `rho`^-p.
        most: Panels.

    Raises:
        ValueError: poles on the real axis, or so close that more panels would be needed.
    """
    if (np.imag(poles) == 0).any():
        raise ValueError("poles must not be real, got one that is")
    edges = np.array([-z_max, 0.0, z_max])
    while True:
        centres, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
        w = (poles - centres[:, None]) / halves[:, None]  # panels x poles
        root = np.sqrt(w**2 - 1 + 0j)
        close = (np.maximum(abs(w + root), abs(w - root)) < rho).any(axis=1)
        if not close.any():
            return edges
        edges = np.sort(np.concatenate([edges, centres[close]]))
        if len(edges) > most + 1:
            raise ValueError(f"poles must be farther from the real axis: more than {most} panels would be needed")
