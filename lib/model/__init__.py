"""The network, its inputs, its task and its files."""

from lib.model.activations import Linear, ReLU, Sigmoid, Softplus, Tanh, activation
from lib.model.codes import Codes, Supports, channel_supports, random_codes, supports
from lib.model.files import FileError, read_network, write_network
from lib.model.ideal_population import Sheet
from lib.model.network import Integrator, Trajectory
from lib.model.signals import DTYPE, autoregressive, bursts, integrals, normal, white_noise
from lib.model.task import Task
from lib.model.torch_rnn import embed, from_torch, to_torch
