"""Speed and memory of `lib`, side by side with other ways to compute the same numbers.

    python -m benchmarks                     # all of them, about ten minutes on two cores
    python -m benchmarks step share          # only these
    python -m benchmarks --quick --json FILE # tiny sizes, and the tables as JSON

* `step`: one training step against the authors' algorithm and against `torch.nn.RNN`.
* `share`: what share of that step the matrix products take that no algorithm of this kind can avoid.
* `time_to_loss`: how long the training takes to reach a given loss on test sequences.
* `channels`: one training step with two or three channels, batch and proxy losses, against the authors' algorithm.
* `memory`: the peak memory of simulating long sequences with all currents kept.
* `growth`: seconds and peak memory of a step against n, T, batch and D, beside the number of products.
* `reduced`: a step of a linear network in the four-dimensional space it learns in, against all its weights.

Contenders take turns in one process, and what is printed is the median over the turns; a ratio is the median of the
ratios within each turn, so that a busy machine slows both sides of it. Before any clock starts, contenders must agree
on the loss and its gradient. A wish that is not met is printed as such and is not an error: timings depend on the
machine and on who else uses it, and the first lines printed say both. Set OMP_NUM_THREADS to choose the threads.
"""
