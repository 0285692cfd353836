"""How a surface is shaded: one formula, carried out alike by every back end.

A headlight stands at the camera, so that the light has no side and a mirrored object gives the mirrored image.
Each vertex with normal n gets the intensity

    i = AMBIENT + (1 - AMBIENT) |n . l|

where l is the unit vector from the vertex to a perspective camera, or an orthographic camera's backward axis. The
absolute value lights both sides of a surface alike, whatever the winding of its faces. Intensities (and colours and
texture positions) are interpolated over a triangle with respect to the surface, not to the image (Gouraud shading,
perspective-correct), and a pixel becomes

    255 i a

rounded, with the albedo a: the texture, sampled bilinearly and repeated beyond its edges; else the vertex colour; else
the constant ALBEDO, and then the image is grey. Nothing is culled and nothing smoothed: a pixel shows the nearest
surface under its centre, and BACKGROUND where there is none.
"""

SHADING_VERSION = 1
"""Changes whenever an image may change; it is part of what identifies rendered files."""

AMBIENT = 0.15
"""Intensity of a surface seen edge-on: it stays apart from black, which no part of an image is."""

ALBEDO = 0.9
"""Of a mesh without colours. Below one, so that a surface seen straight on differs from the background."""

BACKGROUND = 255
"""Grey (or red, green and blue) of a pixel without surface: white. The rasteriser's empty z-buffer relies on 255."""

NEAR_MM = 1.0
"""Nothing nearer to a perspective camera than this is drawn."""
