"""What the screen varies, in one table: how likely each drawing is, and how it may look.

Each drawing is likelier absent than present, so that strips stay readable; the ECG and the second
marks, which hide next to nothing, are the exceptions. `_share` is a share of the strip's height, or
of its width where the name says so.
"""

CHANCES: dict[str, float] = {
    # ECG
    "ecg": 0.65,
    "ecg_inverted": 0.15,
    "ecg_biphasic": 0.3,
    "ecg_saturated": 0.2,
    "ecg_noise": 0.3,
    "ecg_ectopy": 0.15,
    "ecg_wander": 0.4,
    "ecg_on_black": 0.08,
    "ecg_r_marks": 0.12,
    "respiration": 0.08,
    # marks of time and depth
    "second_dots": 0.35,
    "second_ticks": 0.25,
    "second_lines": 0.08,
    "depth_ticks": 0.18,
    "depth_dots": 0.06,
    "time_line": 0.06,
    # writing
    "table": 0.13,
    "table_glass": 0.25,
    "table_title": 0.5,
    "loose_text": 0.1,
    "edge_text": 0.22,
    "pixel_font": 0.4,
    "arrows": 0.15,
    # calipers
    "calipers": 0.13,
    "slope": 0.04,
    "caliper_outline": 0.3,
    "caliper_label": 0.5,
    # borders of the region
    "frame": 0.25,
    "top_line": 0.12,
    "scale_column": 0.04,
    "unwritten": 0.04,
    "gap_lead": 0.2,
    "gap_gradient": 0.15,
    # video
    "gray_map": 0.4,
    "pedestal": 0.15,
    "ceiling": 0.15,
    "sharpen": 0.12,
    "blur": 0.12,
    "tint": 0.12,
    "jpeg": 0.5,
    "resample": 0.15,
    "noise": 0.12,
}

RANGES: dict[str, tuple[float, float]] = {
    # ECG
    "ecg_gray": (70, 255),
    "ecg_tall_share": (0.03, 0.13),
    "ecg_head_share": (-0.02, 0.14),
    "ecg_foot_share": (0.86, 1.0),
    "ecg_middle_share": (0.14, 0.86),
    "ecg_wander_share": (0.1, 0.6),
    "ecg_noise_share": (0.005, 0.04),
    "ecg_saturation": (0.3, 0.8),
    "ecg_rr_jitter": (0.0, 0.12),
    "wander_s": (1.5, 6.0),
    "respiration_s": (2.0, 6.0),
    # marks of time and depth
    "mark_gray": (50, 230),
    "dots_per_height": (5, 20),
    "tick_px": (2, 9),
    # writing
    "text_gray": (110, 255),
    "text_px": (7, 15),
    "table_width_share": (0.12, 0.3),
    "table_height_share": (0.15, 0.45),
    "table_inset_px": (0, 8),
    "table_gray": (0, 50),
    "title_gray": (20, 140),
    "table_opacity": (0.35, 0.8),
    "table_border_gray": (60, 255),
    "loose_lines": (1, 5),
    "arrow_px": (5, 11),
    # calipers
    "caliper_gray": (110, 255),
    "caliper_top_share": (0.08, 0.6),
    "caliper_long_share": (0.05, 0.5),
    "caliper_arm_px": (2, 6),
    "caliper_step_px": (2, 6),
    "slope_share_of_width": (0.03, 0.2),
    # borders of the region
    "frame_px": (1, 6),
    "frame_gray": (0, 90),
    "top_line_gray": (140, 255),
    "scale_share_of_width": (0.02, 0.04),
    "unwritten_s": (0.01, 0.08),
    "unwritten_gray": (0, 25),
    # video
    "pedestal_gray": (3, 30),
    "ceiling_gray": (170, 250),
    "sharpen_pct": (40, 160),
    "blur_px": (0.3, 0.8),
    "noise_gray": (1.0, 5.0),
    "resample_scale": (0.6, 1.0),
}
