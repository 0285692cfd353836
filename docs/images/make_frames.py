"""Draw frames.svg: the object frame with the nine default views around it, the camera frame and the image's xy.

All numbers come from the code. Run this in the repository's root:

    .venv/bin/python docs/images/make_frames.py
"""

from pathlib import Path

import numpy as np

from featurelib.geometry import DEFAULT_RIG, Orthographic

WIDTH, HEIGHT = 920, 460
CENTRE, RADIUS = np.array([270.0, 190.0]), 150.0
"""The plan view in pixels: seen from above, +x to the right, +z down."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1d2430; stroke: none !important; }
.soft { fill: #66707f; } .title { font-weight: 600; }
.x { stroke: #d1392b; fill: #d1392b; } .y { stroke: #2e8b3d; fill: #2e8b3d; } .z { stroke: #2463c9; fill: #2463c9; }
line { stroke-width: 2; } .ray { stroke: #aab2bd; stroke-width: 1; stroke-dasharray: 4 4; }
.camera { fill: #1d2430; } .head { fill: #f2e3d5; stroke: #b08a68; stroke-width: 1.5; }
.box { fill: none; stroke: #1d2430; stroke-width: 1.5; }
"""


def main() -> None:
    """Write the image next to this file."""
    Path(__file__).with_name("frames.svg").write_text(drawing())


def drawing() -> str:
    """Return the SVG."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>Frames</title><style>{STYLE}</style><rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
            *_plan(),
            *_camera_frame(),
            *_image_frame(),
            "</svg>\n",
        ]
    )


def _plan() -> list[str]:
    """Return the object from above, its axes and the cameras where the rig puts them."""
    cameras = DEFAULT_RIG.cameras(np.zeros(3), Orthographic(1.0), 1.0)
    parts = [
        _text(CENTRE[0], 22, "object frame, from above (mm)", "title"),
        f'<ellipse class="head" cx="{CENTRE[0]}" cy="{CENTRE[1]}" rx="42" ry="52"/>',
        f'<path class="head" d="M{CENTRE[0] - 9},{CENTRE[1] + 49} l9,16 l9,-16 z"/>',
    ]
    for number, (view, camera) in enumerate(zip(DEFAULT_RIG.views, cameras, strict=True)):
        x, _, z = camera.position_mm / np.linalg.norm(camera.position_mm)
        place, label = CENTRE + RADIUS * np.array([x, z]), CENTRE + (RADIUS + 34) * np.array([x, z])
        parts += [
            f'<line class="ray" x1="{place[0]:.1f}" y1="{place[1]:.1f}" x2="{CENTRE[0]}" y2="{CENTRE[1]}"/>',
            f'<circle class="camera" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="5"/>',
            _text(label[0], label[1], f"view {number}"),
            _text(label[0], label[1] + 15, f"{view.azimuth_deg:+g}°", "soft"),
        ]
    return [
        *parts,
        *_arrow(CENTRE, (95, 0), "x", "+x its left", (24, -9)),
        *_arrow(CENTRE, (0, 105), "z", "+z its face", (46, 0)),
        f'<circle class="y" cx="{CENTRE[0]}" cy="{CENTRE[1]}" r="4"/>',
        _text(CENTRE[0] - 30, CENTRE[1] - 10, "+y up", "y"),
    ]


def _camera_frame() -> list[str]:
    """Return a camera's axes."""
    at = np.array([690.0, 120.0])
    return [
        _text(700, 22, "camera frame (mm)", "title"),
        *_arrow(at, (80, 0), "x", "+x right in the image", (20, 20)),
        *_arrow(at, (0, -70), "y", "+y up", (28, 0)),
        *_arrow(at, (-48, 40), "z", "+z to the viewer", (0, 18)),
        _text(700, 200, "it looks along -z", "soft"),
    ]


def _image_frame() -> list[str]:
    """Return the image and its positions."""
    left, top, size = 620.0, 260.0, 150.0
    return [
        _text(700, 240, "image xy", "title"),
        f'<rect class="box" x="{left}" y="{top}" width="{size}" height="{size}"/>',
        _text(left, top - 6, "(0, 0)"),
        _text(left + size, top + size + 18, "(1, 1)"),
        *_arrow(np.array([left, top]), (60, 0), "x", "x", (0, 16)),
        *_arrow(np.array([left, top]), (0, 60), "y", "y", (12, 0)),
        _text(left + size / 2, top + size + 40, "pixel i of W: (i + 0.5) / W; mirroring: x → 1 - x", "soft"),
    ]


def _arrow(
    start: np.ndarray, step: tuple[float, float], axis: str, label: str, shift: tuple[float, float]
) -> list[str]:
    end, along = start + step, np.array(step) / np.hypot(*step)
    across = np.array([-along[1], along[0]])
    tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in (end, end - 10 * along + 5 * across, end - 10 * along - 5 * across))
    return [
        f'<line class="{axis}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>',
        f'<polygon class="{axis}" points="{tip}"/>',
        _text(end[0] + shift[0], end[1] + shift[1], label, axis),
    ]


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" class="{style}">{text}</text>'


if __name__ == "__main__":
    main()
