"""Losses, samplers, the loop, constraints, and read-outs."""

from lib.training.dale import (
    DaleLaw,
    decoder_overlaps,
    decoder_projections,
    modes,
    one_sign_share,
    positive_shares,
    type_match_share,
)
from lib.training.loop import History, Training, TrainingDiverged, first_divergence, train, train_together
from lib.training.losses import BatchLoss, ProxyLoss, batch_loss, channel_weights, proxy_loss
from lib.training.losses_together import BatchLosses, ProxyLosses
from lib.training.readout import (
    ContextLoss,
    Head,
    accuracy,
    additive_limit,
    context_targets,
    cued_integral,
    frozen_states,
)
from lib.training.recipes import Place, Trained, place, train_integrator
from lib.training.samplers import MonteCarlo, Sobol, SobolPoints, Strata, UniformPoints, points, sampler
