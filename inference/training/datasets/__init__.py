"""Labelled strips on disk: COCO keypoints plus calibration, see deploy/training.md."""
