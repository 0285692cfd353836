"""The anatomy of an elfish bust: random traits and the parts that they describe.

The numbers were chosen by eye, so that the busts look friendly and no sample is broken.

Frame: millimetres, origin inside the head midway between the ears, +x the body's left, +y up, +z forward.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.synthetic.distance import Part, ellipsoid, exit_mm, half_space_below, round_cone, two_discs

TIP_RADIUS_MM = 4.0
"""Radius of the ear's outline at its tip."""

THICKNESS_MM, RIM_MM = 3.0, 2.0
"""Half the thickness of the ear's middle, and the addition at its rim; thinner rims are jagged with 4 mm cells."""


@dataclass(frozen=True)
class Ear:
    """One ear: a leaf with a pointed tip, cupped towards its side and slightly to the front.

    side: +1 the left ear, -1 the right.
    out_mm, up_mm, front_mm: position of the root; `out_mm` is measured towards its side.
    length_mm: from the root to the tip along the ear's axis.
    width_mm: half the width near the root.
    rise_deg: angle of the axis above the horizontal.
    flare_deg: angle of the axis from straight back towards straight out.
    cup_mm, curl_mm: bend of the rim at the widest point, and of the tip, in the direction in which the cup opens.
    """

    side: int
    out_mm: float
    up_mm: float
    front_mm: float
    length_mm: float
    width_mm: float
    rise_deg: float
    flare_deg: float
    cup_mm: float
    curl_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, skull_width_mm: float) -> Self:
        """Return a random left ear on a skull of this half width."""
        return cls(
            side=1,
            out_mm=skull_width_mm - rng.uniform(2, 6),
            up_mm=rng.uniform(-14, 8),
            front_mm=rng.uniform(-16, 2),
            length_mm=rng.uniform(44, 68),
            width_mm=rng.uniform(15, 21),
            rise_deg=rng.uniform(32, 62),
            flare_deg=rng.uniform(24, 48),
            cup_mm=rng.uniform(5, 9),
            curl_mm=rng.uniform(-2, 8),
        )

    def opposite(self, rng: np.random.Generator) -> Self:
        """Return the ear of the other side: similar, but not the mirror image."""
        return replace(
            self,
            side=-self.side,
            up_mm=self.up_mm + rng.normal(0, 1.5),
            front_mm=self.front_mm + rng.normal(0, 1.5),
            length_mm=self.length_mm + rng.normal(0, 1.5),
            rise_deg=self.rise_deg + rng.normal(0, 3),
            flare_deg=self.flare_deg + rng.normal(0, 3),
        )

    @property
    def root_mm(self) -> NDArray[np.float64]:
        """(3,) the start of the ear's axis."""
        return np.array([self.side * self.out_mm, self.up_mm, self.front_mm])

    @property
    def body_from_ear(self) -> NDArray[np.float64]:
        """(3, 3) rotation; its columns are the directions across the ear, along its axis and out of its cup."""
        rise, flare = np.radians([self.rise_deg, self.flare_deg])
        along = np.array([self.side * np.sin(flare) * np.cos(rise), np.sin(rise), -np.cos(flare) * np.cos(rise)])
        towards = np.array([self.side * 0.92, 0.0, 0.38])
        facing = towards - (towards @ along) * along
        facing /= np.linalg.norm(facing)
        return np.stack([np.cross(along, facing), along, facing], axis=-1)

    @property
    def tip_mm(self) -> NDArray[np.float64]:
        """(3,) the point of the ear farthest along its axis, exactly on the surface."""
        return self.root_mm + self.body_from_ear @ (0.0, self.length_mm, self.curl_mm)

    def part(self) -> Part:
        """Return the ear's shape: all points within its thickness of a bent leaf, the mid-sheet.

        The leaf is the hull of two discs, reduced by the thickness. `outline` is 0 at the rim and at most 0 on the
        ear, so that only the tip reaches `length_mm` along the axis.
        """
        ear_from_body, root = self.body_from_ear.T, self.root_mm
        radii = (self.width_mm, TIP_RADIUS_MM)
        between = self.length_mm - TIP_RADIUS_MM

        def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
            across, along, facing = np.einsum("ij,nj->in", ear_from_body, points - root)
            bend = self.cup_mm * (across / self.width_mm) ** 2 + self.curl_mm * (along / self.length_mm) ** 2
            outline = two_discs(np.abs(across), along, between, radii)
            thickness = THICKNESS_MM + RIM_MM * np.exp(-((outline / 7) ** 2))
            return np.hypot(np.maximum(outline + thickness, 0), facing - bend) - thickness

        middle = root + self.body_from_ear @ (0.0, self.length_mm / 2, 0.0)
        return Part(distance, middle, self.length_mm / 2 + 2 * self.width_mm + 10, blend_mm=7)


@dataclass(frozen=True)
class Traits:
    """The random numbers of a body.

    skull_*_mm: half axes of the skull; jaw_*_mm: of the lower face; chin_mm, cheek_mm, neck_mm: radii.
    eye_apart_mm: from the midline; eye_height_mm: above the origin; nose_drop_mm: from the eyes to the nose's tip.
    smile_mm: rise of the corners of the mouth.
    lean_mm: offset of jaw, nose and mouth from the midline, to the left.
    """

    skull_width_mm: float
    skull_height_mm: float
    skull_depth_mm: float
    jaw_width_mm: float
    jaw_length_mm: float
    chin_mm: float
    cheek_mm: float
    brow_mm: float
    eye_apart_mm: float
    eye_height_mm: float
    nose_length_mm: float
    nose_radius_mm: float
    nose_drop_mm: float
    smile_mm: float
    neck_mm: float
    lean_mm: float
    left_ear: Ear
    right_ear: Ear

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Return random traits."""
        skull_width_mm = rng.uniform(65, 78)
        left_ear = Ear.draw(rng, skull_width_mm)
        return cls(
            skull_width_mm=skull_width_mm,
            skull_height_mm=rng.uniform(74, 90),
            skull_depth_mm=rng.uniform(76, 92),
            jaw_width_mm=rng.uniform(44, 58),
            jaw_length_mm=rng.uniform(54, 70),
            chin_mm=rng.uniform(12, 20),
            cheek_mm=rng.uniform(15, 22),
            brow_mm=rng.uniform(5, 9),
            eye_apart_mm=rng.uniform(25, 32),
            eye_height_mm=rng.uniform(-2, 8),
            nose_length_mm=rng.uniform(13, 27),
            nose_radius_mm=rng.uniform(8, 13),
            nose_drop_mm=rng.uniform(20, 32),
            smile_mm=rng.uniform(2, 7),
            neck_mm=rng.uniform(34, 46),
            lean_mm=rng.normal(0, 1.5),
            left_ear=left_ear,
            right_ear=left_ear.opposite(rng),
        )

    def landmarks_mm(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return the positions (k, 3) of some of synthetic.LANDMARKS, exactly on the surface."""
        tips = {"ear_tip_left": self.left_ear.tip_mm, "ear_tip_right": self.right_ear.tip_mm}
        starts = self._inside_mm()
        return np.stack([tips[name] if name in tips else exit_mm(self.parts(), *starts[name]) for name in names])

    def _inside_mm(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return a point (3,) inside the body below each landmark of the face, and the direction (3,) to it."""
        eye, front, ahead = self.eye_height_mm, self.skull_depth_mm - 8, np.array([0.0, 0.0, 1.0])
        eyes = {
            name: (np.array([side * self.eye_apart_mm, eye - 1, front - 21]), np.array([side * 0.8, 0.0, 0.6]))
            for name, side in (("eye_corner_left", 1), ("eye_corner_right", -1))
        }
        return {**eyes, "nose_tip": (self._nose_mm, ahead), "chin": (self._chin_mm, ahead)}

    @property
    def _nose_mm(self) -> NDArray[np.float64]:
        """(3,) the centre of the nose's round tip."""
        height = self.eye_height_mm - self.nose_drop_mm
        return np.array([1.5 * self.lean_mm, height, self.skull_depth_mm + self.nose_length_mm - 14])

    @property
    def _chin_mm(self) -> NDArray[np.float64]:
        """(3,) the centre of the chin."""
        return np.array([self.lean_mm, -24 - self.jaw_length_mm, 50])

    def parts(self) -> list[Part]:
        """Return all parts of the body, in the order in which they are joined."""
        return [*self._head(), *self._face(), self.left_ear.part(), self.right_ear.part(), *self._bust()]

    def _head(self) -> Iterator[Part]:
        lean = self.lean_mm
        yield ellipsoid((0, 18, -8), (self.skull_width_mm, self.skull_height_mm, self.skull_depth_mm), blend_mm=40)
        yield ellipsoid((lean, -38, 18), (self.jaw_width_mm, self.jaw_length_mm, 58), blend_mm=40)
        yield ellipsoid(self._chin_mm, np.array([1.3, 1, 1]) * self.chin_mm, blend_mm=34)
        for side in (-1, 1):
            yield ellipsoid((side * 36, -28, 46), np.full(3, self.cheek_mm), blend_mm=32)

    def _face(self) -> Iterator[Part]:
        eye, apart, front = self.eye_height_mm, self.eye_apart_mm, self.skull_depth_mm - 8
        for side in (-1, 1):
            yield ellipsoid((side * apart, eye, front - 2), (17, 12, 14), blend_mm=12, joint="carve")
            inner, outer = (side * 10, eye + 19, front - 5), (side * (apart + 12), eye + 17, front - 20)
            yield round_cone(inner, outer, (self.brow_mm, self.brow_mm * 0.7), blend_mm=12)
            yield ellipsoid((side * apart, eye - 1, front - 21), (13, 12, 13), blend_mm=3)
        tip = self._nose_mm
        base = tip - (0, 0, self.nose_length_mm)  # fills the gap under the bridge of a long nose
        yield round_cone((0, eye - 4, front - 16), base, (9, self.nose_radius_mm + 2), blend_mm=10)
        yield round_cone((0, eye + 6, front - 6), tip, (6, self.nose_radius_mm), blend_mm=12)
        for side in (-1, 1):
            offset = np.array([side * self.nose_radius_mm * 0.8, -2, -11])
            yield ellipsoid(tip + offset, (7, 6, 9), blend_mm=6)
        yield self._smile()

    def _smile(self) -> Part:
        """Return a curved groove between two full lips, 42 % of the way from the nose to the chin."""
        nose, chin = self.eye_height_mm - self.nose_drop_mm, -24 - self.jaw_length_mm
        middle = np.array([self.lean_mm, 0.58 * nose + 0.42 * chin, 70.0])

        def depth(points: NDArray[np.float64]) -> NDArray[np.float64]:
            aside, up, _ = (points - middle).T
            line = up - self.smile_mm * (aside / 20) ** 2
            groove = 4.6 * np.exp(-((line / 3.5) ** 2) - (aside / 22) ** 4)
            lips = 1.6 * np.exp(-((line / 10) ** 2) - (aside / 17) ** 4)
            return groove - lips

        return Part(depth, middle, reach_mm=50, blend_mm=1, joint="dent")

    def _bust(self) -> Iterator[Part]:
        yield round_cone((0, -50, -16), (0, -140, -24), (self.neck_mm, self.neck_mm * 1.1), blend_mm=24)
        yield ellipsoid((0, -150, -22), (84, 32, 56), blend_mm=36)
        yield half_space_below(-153, blend_mm=18)
