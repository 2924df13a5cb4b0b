"""The region proposal network, which finds boxes that may contain an object."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image

from detector.model.anchors import Anchors
from detector.model.backbone import Backbone
from detector.model.batched.boxes import clipped, decoded, encoded
from detector.model.batched.matching import match, sample
from detector.model.batched.slots import Slots
from detector.model.batched.suppression import ROUNDS, survivors
from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.model.suppression import suppress
from nars.networks.build import Features
from nars.networks.norms import norm_layer

__all__ = ["ProposalNetwork"]


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no types
    """torchvision's network, with the differences of the published detector.

    - Proposals are ranked by logits, because a saturated sigmoid loses their order.
    - Only proposals without area are dropped.
    - Losses are divided by the number of anchors asked for, not of those sampled.

    In training, `losses` handles all images at once. After it, `counts` are the objects and
    background anchors per image, and `finite` [N] says whose proposals are finite.
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
        self.object_iou = settings.rpn_object_iou
        self.background_iou = settings.rpn_background_iou
        self.positives = settings.rpn_positives
        self.counts: dict[str, Tensor] = {}
        self.finite = torch.empty(0, dtype=torch.bool)

    def losses(
        self, features: dict[str, Tensor], sizes: Tensor, slots: Slots
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return proposals [N, P, 4], which of them are valid [N, P], and the losses of a training batch.

        `sizes` [N, 2] are heights and widths of the images. Proposals are by falling logit.
        """
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        counts = [level[0].numel() for level in objectness]
        anchors = self.anchor_generator.shared(maps)  # [A, 4]
        joined, deltas = concat_box_prediction_layers(objectness, deltas)
        logits, deltas = joined.reshape(len(sizes), -1), deltas.reshape(len(sizes), -1, 4)
        with torch.no_grad():
            proposals, valid = self._proposals(logits, deltas, anchors, sizes, counts)
        return proposals, valid, self._losses(logits, deltas, anchors, slots)

    def _proposals(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor, sizes: Tensor, counts: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Return the best proposals [N, P, 4] by falling logit, and which are valid [N, P]."""
        self.finite = logits.isfinite().all(1) & deltas.isfinite().flatten(1).all(1)
        rounds = None if logits.device.type == "cpu" else ROUNDS
        boxes, scores, start = [], [], 0
        for level in logits.split(counts, dim=1):
            # Not topk: on a CPU, sort keeps the order of equal logits, as in a plain background.
            score, order = level.sort(dim=1, descending=True)
            score, order = (each[:, : self.pre_nms_top_n()] for each in (score, order + start))
            box = decoded(deltas.gather(1, order[..., None].expand(-1, -1, 4)), anchors[order])
            box = clipped(box, sizes)
            valid = (box[..., 2:] > box[..., :2]).all(-1) & score.isfinite()
            valid = survivors(box, valid, self.nms_thresh, rounds)
            boxes.append(torch.where(valid[..., None], box, 0.0))
            scores.append(score.masked_fill(~valid, -torch.inf))
            start += level.shape[1]
        joined = torch.cat(scores, dim=1)
        score, order = joined.sort(dim=1, descending=True, stable=True)
        order = order[:, : self.post_nms_top_n()]
        best = torch.cat(boxes, dim=1).gather(1, order[..., None].expand(-1, -1, 4))
        return best, score[:, : self.post_nms_top_n()] > -torch.inf

    def _losses(self, logits: Tensor, deltas: Tensor, anchors: Tensor, slots: Slots) -> dict[str, Tensor]:
        """Return the losses of objectness and of box deltas over the sampled anchors."""
        matched = match(slots, anchors, self.object_iou, self.background_iou, keep_best=True)
        drawn = sample(matched.objects, matched.background, self.samples, self.positives)
        sampled = torch.zeros_like(matched.objects).scatter_(1, drawn.regions, drawn.drawn)
        positive, images = sampled & matched.objects, len(logits)
        self.counts = {
            "rpn_objects": positive.sum() / images,
            "rpn_background": (sampled & ~positive).sum() / images,
        }
        total = self.samples * images
        wanted = matched.objects.to(logits.dtype)
        objects = F.binary_cross_entropy_with_logits(logits, wanted, weight=sampled, reduction="sum")
        own = slots.boxes.gather(1, matched.owners[..., None].expand(-1, -1, 4))
        targets = torch.where(positive[..., None], encoded(own, anchors, self.box_coder.weights), 0.0)
        errors = F.smooth_l1_loss(deltas, targets.to(deltas.dtype), beta=self.smooth_l1, reduction="none")
        boxes = torch.where(positive[..., None], errors, 0.0).sum()
        return {"loss_objectness": objects / total, "loss_rpn_box_reg": boxes / total}

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
