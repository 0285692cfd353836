"""The shading model: one formula, implemented by every backend.

The light is at the camera, so that a mirrored object gives the mirrored image. A vertex with normal n has the
intensity

    i = AMBIENT + (1 - AMBIENT) |n . l|

where l is the unit vector from the vertex to a perspective camera, or an orthographic camera's backward axis. The
absolute value gives the front and the back of a surface the same shade, for any winding of its faces. Intensities,
colours and texture positions are interpolated linearly on the surface (perspective-correct Gouraud shading). A pixel is

    255 i a

rounded. The albedo a is the texture, sampled bilinearly and repeated beyond its edges; without a texture the vertex
colour; without either the constant ALBEDO, which gives a grey image. There is no culling and no antialiasing: a pixel
has the colour of the nearest surface at its centre, and BACKGROUND without one.
"""

SHADING_VERSION = 1
"""Version of the images: it changes whenever a pixel may change, and is part of the hash in rendered files' names."""

AMBIENT = 0.15
"""Intensity of a surface seen edge-on, so that no part of an image is black."""

ALBEDO = 0.9
"""Albedo of a mesh without colours; below one, so that a surface seen head-on differs from the background."""

BACKGROUND = 255
"""Grey, or red, green and blue, of a pixel without surface: white. The rasteriser's empty z-buffer requires 255."""

NEAR_MM = 1.0
"""Near plane of a perspective camera; nearer surfaces are not drawn."""
