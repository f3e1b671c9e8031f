"""Text of a small ledger: four rows and two errata."""

LEDGER = """
rows:
  - id: F3A
    kind: figure
    where: "section 4.1, Figure 3A"
    section: "4.1"
    claim: About 5 % of the neurons are shared or null, $L_+ < 1$ & *weak*.
    measure: share of neurons per population
    settings: {n: 1000, decays: [0.995], sampler: monte-carlo}
    needs: {n: 4, seeds: 10, sampler: sobol}
    paper: {shared: {value: 0.05, error: 0.01}}
    accept: {shared: [0.01, 0.10], positive: [0.42, 0.55]}
    page: part/tiny
    errata: [E35]
  - id: T1-c
    kind: table
    where: "Table 1"
    section: "5"
    claim: The ratio is small.
    measure: ratio
    paper: {ratio: {value: 1.63}}
    accept: {ratio: [1.3, 1.9]}
    loose: {ratio: [1.0, 2.6]}
    page: part/tiny
    reason: The optimiser decides it.
  - id: eq-7
    kind: equation
    where: "equation 7"
    section: "3.1"
    claim: The two agree.
    measure: difference
    accept: {difference: [null, 1e-6]}
    page: part/other
  - id: C35
    kind: claim
    where: "appendix A"
    section: A
    claim: The matrix is positive definite.
    measure: smallest eigenvalue
    accept: {smallest: [0.1, null]}
    page: part/other
errata:
  - id: E4
    kind: formula
    where: "appendix F, equation 49"
    printed: once the sum
    right: twice the sum
    matters: learning rates
    measure: ratio of the two
    accept: {ratio: [1.999, 2.001]}
    page: part/tiny
  - id: E35
    kind: code
    where: population files
    printed: labels are shifted
    right: null, positive, negative, shared
    matters: Figure 3A
    measure: reading
    page: part/other
"""
