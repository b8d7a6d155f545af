"""Draws for many students at once, each from its own prior with its own degradation.

Members are assigned to *slots*, sorted by prior. Members with the same prior form one batch for
its denoiser, and different priors form a leading axis. If priors have unequal numbers of members,
the remaining slots are filled with repeated members, whose draws are discarded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...diffusion.latent import LatentDiffusion
from ...diffusion.posterior import (
    LearnedAlpha,
    LinearGaussianPosterior,
    NoObservation,
    PosteriorSampler,
)
from ...diffusion.sampler import NoiseSource, Sampler
from .stacked_lstm import stack_frozen


def is_stackable(degradation: PosteriorSampler) -> bool:
    """Return whether :class:`StackedDraws` supports a degradation."""
    if not isinstance(degradation.latent, LatentDiffusion):
        return False
    inner = degradation.posterior if type(degradation) is NoObservation else degradation
    return type(inner) in (LearnedAlpha, LinearGaussianPosterior)


class SlotNoise(NoiseSource):
    """Source of noise ``(n_slots, n_rows, width)`` that has a generator for each member.

    Parameters
    ----------
    generators : sequence of torch.Generator
        Generators of the members.
    slots : Tensor of shape (n_slots,)
        Number of the member in each slot.
    """

    def __init__(self, generators: Sequence[torch.Generator], slots: Tensor) -> None:
        super().__init__()
        self.generators = generators
        self.slots = slots

    def normal(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return noise for ``x (n_slots, n_rows, d)``."""
        shape = (x.shape[1], x.shape[2] if width is None else width)
        draws = [
            torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)
            for generator in self.generators
        ]
        return torch.stack(draws).index_select(0, self.slots)


class StackedDraws:
    """Sampler of posterior draws for M members.

    Parameters
    ----------
    degradations : sequence of PosteriorSampler
        Samplers of the members. They may differ only in their constants; see
        :func:`is_stackable`.
    """

    def __init__(self, degradations: Sequence[PosteriorSampler]) -> None:
        self.observes = type(degradations[0]) is not NoObservation
        self.members: list[Any] = [
            d.posterior if isinstance(d, NoObservation) else d for d in degradations
        ]
        self.latents: list[LatentDiffusion] = []
        self.prior_of = [self._number(d.latent) for d in self.members]
        self._active = -1

    def _number(self, latent: LatentDiffusion) -> int:
        """Return the index of a prior; equal priors have the same index."""
        own = latent.state_dict()
        for i, known in enumerate(self.latents):
            other = known.state_dict()
            if all(torch.equal(own[name], other[name]) for name in own):
                return i
        self.latents.append(latent)
        return len(self.latents) - 1

    def arrange(self, n_active: int) -> None:
        """Assign the first members to slots, with their current measurements.

        The tensors of the measurements keep their memory addresses as long as the number of
        members does not change. Captured steps require this.

        Parameters
        ----------
        n_active : int
            Number of members that distil.
        """
        if n_active != self._active:
            self._assign_slots(n_active)
            self.constants: dict[str, Tensor] = {}
        for name, values in self._measured_constants(n_active).items():
            if name in self.constants:
                self.constants[name].copy_(values)
            else:
                self.constants[name] = values

    def _assign_slots(self, n_active: int) -> None:
        self._active = n_active
        device = next(self.latents[0].buffers()).device
        priors = sorted(set(self.prior_of[:n_active]))
        groups = [[m for m in range(n_active) if self.prior_of[m] == p] for p in priors]
        width = max(map(len, groups))
        slots = [m for group in groups for m in group + group[:1] * (width - len(group))]
        self.slots = torch.tensor(slots, device=device)
        place = {m: slot for slot, m in reversed(list(enumerate(slots)))}
        self.places = torch.tensor([place[m] for m in range(n_active)], device=device)
        self.in_order = slots == list(range(n_active))
        self._denoisers = [self.latents[p].denoiser for p in priors]
        self._stacked = stack_frozen(self._denoisers)
        self.sampler: Sampler = self.members[0].sampler

    def _measured_constants(self, n_active: int) -> dict[str, Tensor]:
        if not isinstance(self.members[0], LinearGaussianPosterior):
            return {}
        found = {}
        for name in ("A", "b", "gains", "spreads", "start"):
            own = torch.stack([getattr(d, name) for d in self.members[:n_active]])
            found[name] = own.index_select(0, self.slots)
        means = torch.stack([d.latent.mean for d in self.members[:n_active]])
        found["mean"] = means.index_select(0, self.slots).unsqueeze(1)
        return found

    def draw(
        self,
        features: Tensor,
        n_draws: int,
        weights: Mapping[str, Tensor],
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Draw teacher features for the student features of the first members.

        Parameters
        ----------
        features : Tensor of shape (a, n, dS)
            Student features.
        n_draws : int
            Number J of draws for each feature.
        weights : mapping of str to Tensor of shape (a, ...)
            Trained parameters of the degradations, if they have any.
        generators : sequence of torch.Generator
            Generators of the noise of the members.

        Returns
        -------
        Tensor of shape (a, J n, d)
            Teacher features.
        """
        a = len(features)
        if a != self._active:
            self.arrange(a)
        noise = SlotNoise(generators[:a], self.slots)
        repeated = features.repeat(1, n_draws, 1)
        if isinstance(self.members[0], LearnedAlpha):
            drawn = self._learned(repeated, weights, noise)
        else:
            drawn = self._measured(repeated, noise)
        return drawn if self.in_order else drawn.index_select(0, self.places)

    def _in_slots(self, values: Tensor) -> Tensor:
        return values if self.in_order else values.index_select(0, self.slots)

    def _learned(
        self, z_short: Tensor, weights: Mapping[str, Tensor], noise: NoiseSource
    ) -> Tensor:
        f = linear(z_short, weights["map.weight"], weights["map.bias"])
        share = linear(f, weights["adapter.weight"], weights["adapter.bias"])
        alpha = share.softmax(-1)[..., :1]
        f, alpha = self._in_slots(f), self._in_slots(alpha)
        start = alpha * f + (1 - alpha) * noise.normal(f)
        return self.sampler.run(_Denoiser(self), start, noise)

    def _measured(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        constants = self.constants
        if not self.observes:
            z_short = z_short.new_zeros(*z_short.shape[:2], 1)
        observed = self._in_slots(z_short) - constants["b"].unsqueeze(1)
        across = constants["A"].transpose(1, 2)

        def restore(mean: Tensor, i: int) -> Tensor:
            surprise = observed - mean @ across
            gain = constants["gains"][:, i].transpose(1, 2)
            return mean + surprise @ gain + noise.normal(mean) @ constants["spreads"][:, i]

        first = self.sampler.schedule.level(self.sampler.steps[0])
        mean = constants["mean"].expand(-1, observed.shape[1], -1)
        start = math.sqrt(first) * mean + noise.normal(mean) @ constants["start"].transpose(1, 2)
        return self.sampler.run(_Denoiser(self), start, noise, restore)

    def denoise(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the expected noise in ``x (n_slots, n, d)`` at one step ``t (1,)``."""
        n_priors = len(self._denoisers)
        if n_priors == 1:
            return self._denoisers[0](x.flatten(0, 1), t).view_as(x)
        grouped = x.reshape(n_priors, -1, x.shape[2])
        if self._stacked is not None:
            return self._stacked(grouped, t).view_as(x)
        parts = [
            denoiser(rows, t) for denoiser, rows in zip(self._denoisers, grouped, strict=True)
        ]
        return torch.stack(parts).view_as(x)


class _Denoiser(nn.Module):
    """Denoiser of a sampler whose rows are in slots."""

    def __init__(self, draws: StackedDraws) -> None:
        super().__init__()
        self._draws = (draws,)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self._draws[0].denoise(x, t)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply M linear maps, of weights ``(M, d_out, d_in)``, to inputs ``(M, n, d_in)``."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
