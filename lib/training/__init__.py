"""Losses, samplers, the loop, constraints, and read-outs."""

from lib.training.dale import DaleLaw
from lib.training.loop import History, Training, TrainingDiverged, first_divergence, train
from lib.training.losses import BatchLoss, ProxyLoss, batch_loss, channel_weights, proxy_loss
from lib.training.readout import ContextLoss, Head
from lib.training.recipes import Place, Trained, place, train_integrator
from lib.training.samplers import MonteCarlo, Sobol, SobolPoints, Strata, UniformPoints, points, sampler
