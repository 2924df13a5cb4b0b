"""The heads that find class, exact box and, if asked for, mask of each proposal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import clip_boxes_to_image

from detector.model.backbone import Backbone
from detector.model.batched.boxes import encoded
from detector.model.batched.matching import Sample, match, sample
from detector.model.batched.sampled import Regions, mask_loss, share_of
from detector.model.batched.slots import Slots
from detector.model.parts import Parts
from detector.model.roi_heads.networks import BoxHead, BoxPredictor, MaskHead, mask_predictor_of
from detector.model.roi_heads.pooling import Pooler
from detector.model.settings import Settings
from detector.model.suppression import suppress
from detector.model.targets import Detections, Target

__all__ = ["RegionHeads"]

_FINEST_POOLED_STRIDE = 8
"""Stride of the finest map of a pyramid that regions are pooled from, as published."""


class RegionHeads(RoIHeads):  # type: ignore[misc]  # torchvision has no types
    """torchvision's heads with the tensors of the published detector.

    Labels are 1..K for the user. Inside, class scores [R, K + 1] have the background last, and
    box deltas [R, 4 * K] leave it out. `counts` are the objects and background regions per image
    in the last training step.
    """

    def __init__(self, parts: Parts, backbone: Backbone, num_classes: int, settings: Settings) -> None:
        box_head = BoxHead(parts, settings)
        maps = list(zip(backbone.names, backbone.strides, strict=True))
        if parts.fpn is not None:
            maps = [(name, stride) for name, stride in maps if stride >= _FINEST_POOLED_STRIDE]
        names, strides = zip(*maps, strict=True)
        mask_pooler = mask_head = mask_predictor = None
        if settings.mask:
            mask_pooler = Pooler(names, strides, settings.mask_pooler_resolution)
            mask_head = MaskHead(parts, settings)
            mask_predictor = mask_predictor_of(mask_head.out_channels, num_classes)
        super().__init__(
            Pooler(names, strides, settings.pooler_resolution),
            box_head,
            BoxPredictor(box_head.out_channels, num_classes),
            fg_iou_thresh=settings.box_object_iou,
            bg_iou_thresh=settings.box_background_iou,
            batch_size_per_image=settings.box_samples,
            positive_fraction=settings.box_positives,
            bbox_reg_weights=(10.0, 10.0, 5.0, 5.0),
            score_thresh=settings.score_threshold,
            nms_thresh=settings.box_nms,
            detections_per_img=settings.detections,
            mask_roi_pool=mask_pooler,
            mask_head=mask_head,
            mask_predictor=mask_predictor,
        )
        self.num_classes = num_classes
        self.object_iou = settings.box_object_iou
        self.background_iou = settings.box_background_iou
        self.samples = settings.box_samples
        self.positives = settings.box_positives
        self.smooth_l1 = settings.smooth_l1
        self.counts: dict[str, Tensor] = {}

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[Detections], dict[str, Tensor]]:
        assert not self.training, "training calls losses"
        logits, deltas = self._predictions(features, proposals)
        results = self._detections(logits, deltas, proposals, image_shapes)
        if self.has_mask():
            boxes = [detections["boxes"] for detections in results]
            logits = self._masks(features, boxes)
            classes = torch.cat([detections["labels"] for detections in results]) - 1
            rows = torch.arange(classes.shape[0], device=classes.device)
            masks = logits.sigmoid()[rows, classes][:, None].split([image.shape[0] for image in boxes])
            for detections, image_masks in zip(results, masks, strict=True):
                detections["masks"] = image_masks
        return results, {}

    def losses(
        self, features: dict[str, Tensor], proposals: Tensor, valid: Tensor, slots: Slots
    ) -> dict[str, Tensor]:
        """Return the losses of a training batch over sampled regions.

        Regions are drawn from the objects' boxes and the proposals [N, P, 4] that are `valid` [N, P].
        """
        boxes = torch.cat([proposals, slots.boxes.to(proposals.dtype)], dim=1)
        valid = torch.cat([valid, slots.filled], dim=1)
        with torch.no_grad():
            matched = match(slots, boxes, self.object_iou, self.background_iou)
            objects, background = matched.objects & valid, matched.background & valid
            drawn = sample(objects, background, self.samples, self.positives)
            regions = Regions.drawn(slots, boxes, matched, drawn)
        images = len(proposals)
        counted = regions.counted
        self.counts = {
            "box_objects": ((regions.labels > 0) & counted).sum() / images,
            "box_background": ((regions.labels == 0) & counted).sum() / images,
        }
        pooled = self.box_roi_pool.batched(features, regions.all_boxes, regions.places)
        logits, deltas = self.box_predictor(self.box_head(pooled))
        targets = encoded(regions.own, regions.boxes, self.box_coder.weights)
        loss_classifier, loss_box_reg = self._box_losses(logits, deltas, regions.labels, targets, counted)
        losses = {"loss_classifier": loss_classifier, "loss_box_reg": loss_box_reg}
        if self.has_mask():
            assert slots.masks is not None
            most = min(int(self.samples * self.positives), drawn.regions.shape[1])
            first = Sample(
                drawn.regions[:, :most], (drawn.drawn & objects.gather(1, drawn.regions))[:, :most]
            )
            with torch.no_grad():
                regions = Regions.drawn(slots, boxes, matched, first)
            pooled = self.mask_roi_pool.batched(features, regions.all_boxes, regions.places)
            losses["loss_mask"] = mask_loss(self._mask_logits(pooled), regions, slots.masks)
        return losses

    def _predictions(self, features: dict[str, Tensor], proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits [R, K + 1] and box deltas [R, 4 * K] of all proposals."""
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals)))
        return logits, deltas

    def _masks(self, features: dict[str, Tensor], boxes: list[Tensor]) -> Tensor:
        """Return mask logits [R, K, M, M] of all boxes."""
        return self._mask_logits(self.mask_roi_pool(features, boxes))

    def _mask_logits(self, pooled: Tensor) -> Tensor:
        masks: Tensor = self.mask_predictor(self.mask_head(pooled))
        return masks.to(torch.promote_types(masks.dtype, torch.float32))

    def _box_losses(
        self, logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor, counted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return mean losses over the regions that are `counted` [R]; zero, with gradients, if none are.

        `labels` [R] are 0 for background; `targets` [R, 4] are the deltas of objects.
        """
        count = share_of(counted)
        columns = torch.where(labels > 0, labels - 1, self.num_classes)
        classes = F.cross_entropy(logits, columns, reduction="none")
        positive = ((labels > 0) & counted)[:, None]
        column = (labels - 1).clamp(min=0)[:, None, None].expand(-1, 1, 4)
        own = deltas.reshape(len(labels), self.num_classes, 4).gather(1, column)[:, 0]
        targets = torch.where(positive, targets, 0.0).to(own.dtype)
        errors = F.smooth_l1_loss(own, targets, beta=self.smooth_l1, reduction="none")
        boxes = torch.where(positive, errors, 0.0).sum()
        return torch.where(counted, classes, 0.0).sum() / count, boxes / count

    def _detections(
        self, logits: Tensor, deltas: Tensor, proposals: list[Tensor], shapes: list[tuple[int, int]]
    ) -> list[Detections]:
        """Return boxes [D, 4], labels [D] and scores [D] of every image, by falling score."""
        counts = [image.shape[0] for image in proposals]  # an exporter traces shape, but not len
        boxes = self.box_coder.decode_single(deltas, torch.cat(proposals))
        boxes = boxes.reshape(logits.shape[0], self.num_classes, 4)
        scores = logits.softmax(-1)[:, :-1]
        return [
            self._best(box, score, shape)
            for box, score, shape in zip(boxes.split(counts), scores.split(counts), shapes, strict=True)
        ]

    def _best(self, boxes: Tensor, scores: Tensor, shape: tuple[int, int]) -> Detections:
        """Return the detections among one image's `boxes` [R, K, 4] with `scores` [R, K]."""
        finite = torch.isfinite(boxes).all(-1) & torch.isfinite(scores)
        rows, classes = torch.where(finite & (scores > self.score_thresh))
        boxes, scores = clip_boxes_to_image(boxes[rows, classes], shape), scores[rows, classes]
        kept = suppress(boxes, scores, classes, self.nms_thresh, max(shape))[: self.detections_per_img]
        return {"boxes": boxes[kept], "labels": classes[kept] + 1, "scores": scores[kept]}
