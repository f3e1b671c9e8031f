"""Gradients that are written out by hand are numbers: they have no derivatives themselves."""

import torch


def differentiable_once() -> None:
    """Called first in a backward; RuntimeError where autograd would record it for a second derivative."""
    if torch.is_grad_enabled():
        raise RuntimeError("this loss is differentiable once; with fast=False it has all derivatives")
