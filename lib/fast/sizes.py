"""From which size on each fast way is faster than the plain one: measured on one core in float32."""

from typing import NamedTuple


class Size(NamedTuple):
    """Least numbers of points (or sequences) and of multiplications in one product with W."""

    points: int
    product: float  # points n^2

    def why_not(self, points: int, n: int) -> str:
        """What is too small; empty if nothing is."""
        if points < self.points:
            return f"fewer than {self.points} points"
        return f"points n^2 below {self.product:g}" if points * n**2 < self.product else ""


# Sectors, by number of channels. Seconds of the plain way / of sectors, D=1 and T=3: n=1000, batch 128: 0.9, 256: 1.4,
# 1024: 3.1; batch 1024, n=200: 0.8, n=300: 1.3. D=2, for the batch loss (T=3) and the proxy loss: n=1000, 256 points:
# 0.9 and 1.0, 384: 1.0 and 1.2, 1024: 1.3 and 2.2, 4096 (proxy alone): 3.9; 1024 points, n=200: 0.6 and 0.9, n=500:
# 1.2 and 1.7.
SECTORS = {1: Size(256, 8e7), 2: Size(384, 2e8)}

# First states of a sigmoid network from 30 to 140: n=1000, batch 256: 1.5, 2048: 1.7; n=500, batch 512: 1.3; n=300,
# batch 2048: 1.1; n=200, batch 4096: 0.8. (The proxy loss always gains.)
FIRST_STATES = Size(256, 1.7e8)

CROSS_POINTS = 1024  # that a cross must stand for, lest it save nothing
EXACT_NEURONS = 32  # of a cross: with no more than twice as many in all hardly any is left to stand for

# Second moments: with fewer points for each neuron the products that are added outweigh those that are saved, and with
# fewer neurons products are too cheap to care.
POINTS_PER_NEURON = 2
MOMENTS_NEURONS = 200
