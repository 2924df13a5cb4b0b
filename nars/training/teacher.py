"""A teacher: a trained network whose answers are part of the loss of another one's training.

Teacher and student see the same augmented images. Sources: "Distilling the Knowledge in a Neural Network"
(Hinton, Vinyals, Dean 2015) for the loss; "Knowledge distillation: A good teacher is patient and consistent"
(CVPR 2022) for the same images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data.augment import grey
from nars.errors import UsageError
from nars.spec import Recipe
from nars.tensors import fingerprint

__all__ = ["Teacher", "check_teacher", "taught"]


class Teacher:
    """A trained classifier in evaluation mode, on the device of the training that it helps."""

    def __init__(
        self, network: nn.Module, resolution: int, normalization: tuple[Tensor, Tensor] | None = None
    ) -> None:
        """`network` tells apart the student's classes; it sees images of `resolution` pixels.

        `normalization` is the mean [C] and the deviation [C] by which its images and those of the student are
        normalized; it matters only if they differ by channel.
        """
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.resolution = resolution
        self.in_channels = int(getattr(network, "in_channels", 3))
        self.normalization = normalization

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """The logits [N, K] of images float [N, C, R, R], which are normalized as the student's are.

        Images of another size are resized first; one channel is repeated for three, and three become grey for
        one.
        """
        if images.shape[1] > self.in_channels:
            images = grey(images)
        elif images.shape[1] < self.in_channels:
            images = self._repeated(images)
        if images.shape[-1] != self.resolution:
            size = (self.resolution, self.resolution)
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        logits: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits

    def _repeated(self, images: Tensor) -> Tensor:
        """Images of one channel, normalized as the first one, in all channels, each normalized as its own."""
        images = images.expand(-1, self.in_channels, -1, -1)
        if self.normalization is None:
            return images
        mean, std = (each.to(images.device).view(-1, 1, 1) for each in self.normalization)
        return torch.addcmul((mean[0] - mean) / std, images, std[0] / std)

    @property
    def fingerprint(self) -> str:
        """A digest of the weights and the resolution, for the identity of a checkpoint."""
        return fingerprint(self.network.state_dict(), self.resolution)


def check_teacher(recipe: Recipe, teacher: Teacher | None) -> None:
    """Raise `UsageError` if a recipe needs a teacher and there is none."""
    if recipe.distill and teacher is None:
        remedy = "--init with weights for the same classes, such as RUN/weights/reference.pt of a search"
        raise UsageError(f"the recipe's distill {recipe.distill:g} needs a teacher: {remedy}; or distill 0")


def taught(loss: Tensor, logits: Tensor, answers: Tensor, recipe: Recipe) -> Tensor:
    """Mix the loss of the labels with the divergence of `logits` [N, K] from a teacher's `answers` [N, K].

    The divergence is taken at the recipe's temperature T and times T squared, so that its gradient does not
    depend on T. Source: Hinton et al. 2015, section 2.
    """
    heat = recipe.distill_temperature
    divergence = F.kl_div(
        F.log_softmax(logits / heat, 1),
        F.log_softmax(answers / heat, 1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - recipe.distill) * loss + recipe.distill * heat**2 * divergence
