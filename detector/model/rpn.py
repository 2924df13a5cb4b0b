"""The region proposal network, which finds boxes that may contain an object."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import clip_boxes_to_image

from detector.model.anchors import Anchors
from detector.model.backbone import Backbone
from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.model.suppression import suppress
from nars.errors import NonFiniteLossError
from nars.networks.build import Features
from nars.networks.norms import norm_layer

__all__ = ["ProposalNetwork"]


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no types
    """torchvision's network, with the differences of the published detector.

    - Proposals are ranked by logits, because a saturated sigmoid loses their order.
    - Only proposals without area are dropped.
    - Losses are divided by the number of anchors asked for, not of those sampled.

    In training, proposals that are not finite raise `NonFiniteLossError` that names the image.
    `counts` are the objects and background anchors per image in the last training step.
    """

    def __init__(self, parts: Parts, backbone: Backbone, settings: Settings) -> None:
        super().__init__(
            Anchors(settings.anchor_sizes, settings.anchor_ratios, backbone.strides),
            ProposalHead(parts, settings),
            fg_iou_thresh=settings.rpn_object_iou,
            bg_iou_thresh=settings.rpn_background_iou,
            batch_size_per_image=settings.rpn_samples,
            positive_fraction=settings.rpn_positives,
            pre_nms_top_n={"training": settings.train_candidates, "testing": settings.test_candidates},
            post_nms_top_n={"training": settings.train_proposals, "testing": settings.test_proposals},
            nms_thresh=settings.rpn_nms,
        )
        self.samples = settings.rpn_samples
        self.smooth_l1 = settings.smooth_l1
        self.counts: dict[str, Tensor] = {}

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the best proposals [P_i, 4] of each image and their logits [P_i].

        `proposals` [N, A, 4] and `objectness` [N * A] are of all anchors.
        """
        logits = objectness.detach().reshape(len(proposals), -1)
        if self.training:
            _refuse_non_finite(proposals, logits)
        best, levels = self._candidates(logits, num_anchors_per_level)
        boxes, scores = [], []
        for candidates, logit, index, shape in zip(proposals, logits, best, image_shapes, strict=True):
            box, score = clip_boxes_to_image(candidates[index], shape), logit[index]
            keep = torch.where((box[:, 2:] > box[:, :2]).all(1) & torch.isfinite(score))[0]
            box, score = box[keep], score[keep]
            kept = suppress(box, score, levels[keep], self.nms_thresh, max(shape))
            kept = kept[: self.post_nms_top_n()]
            boxes.append(box[kept])
            scores.append(score[kept])
        return boxes, scores

    def _candidates(self, logits: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
        """Return indices [N, M] of the anchors with the highest logits of every map, and maps [M]."""
        best, levels, start = [], [], 0
        for level, level_logits in enumerate(logits.split(counts, dim=1)):
            count = min(self.pre_nms_top_n(), level_logits.shape[1])
            # Not topk: on a CPU, sort keeps the order of equal logits, as in a plain background.
            order = level_logits.sort(dim=1, descending=True).indices[:, :count]
            best.append(order + start)
            levels.append(torch.full((count,), level, device=logits.device))
            start += level_logits.shape[1]
        return torch.cat(best, dim=1), torch.cat(levels)

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of objectness and of box deltas over the sampled anchors."""
        positive, negative = (torch.cat(masks).bool() for masks in self.fg_bg_sampler(labels))
        images = len(labels)
        self.counts = {
            "rpn_objects": positive.sum() / images,
            "rpn_background": negative.sum() / images,
        }
        sampled = positive | negative
        total = self.samples * images
        targets = torch.cat(labels)[sampled].to(objectness.dtype)
        objects = F.binary_cross_entropy_with_logits(objectness.flatten()[sampled], targets, reduction="sum")
        box_targets = torch.cat(regression_targets)[positive].to(pred_bbox_deltas.dtype)
        boxes = F.smooth_l1_loss(
            pred_bbox_deltas[positive], box_targets, beta=self.smooth_l1, reduction="sum"
        )
        return objects / total, boxes / total


class ProposalHead(nn.Module):
    """Predicts objectness and box deltas of every anchor at each pixel of a tower's output.

    Both are float32 or better, so boxes are decoded in full precision under autocast, too.
    """

    def __init__(self, parts: Parts, settings: Settings) -> None:
        super().__init__()
        norms = norm_layer(settings.norm, parts.norm_eps, parts.norm_momentum)
        self.tower = Features([parts.rpn], parts.channels, norms)
        channels, anchors = self.tower.out_channels[-1], settings.anchors_per_cell
        self.cls_logits = nn.Conv2d(channels, anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        towers = [self.tower(feature)[-1] for feature in maps]
        return [_precise(self.cls_logits(x)) for x in towers], [_precise(self.bbox_pred(x)) for x in towers]


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _refuse_non_finite(proposals: Tensor, logits: Tensor) -> None:
    finite = torch.isfinite(proposals).flatten(1).all(1) & torch.isfinite(logits).all(1)
    if not finite.all():
        index = int(torch.where(~finite)[0][0])
        rule = "training has diverged; a lower learning rate or clipped gradients help"
        raise NonFiniteLossError(f"proposals of image {index} of the batch are not finite: {rule}")
