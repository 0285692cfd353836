import pytest

from featurelib.rendering.hardware import hardware_devices, is_software


@pytest.mark.parametrize(
    ("gl_renderer", "expected"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", True),
        ("softpipe", True),
        ("Software Rasterizer", True),
        ("NVIDIA A100-SXM4-40GB/PCIe/SSE2", False),
        ("AMD Radeon Graphics (radeonsi, navi21, LLVM 15.0.6)", False),
        ("Mesa Intel(R) UHD Graphics 620 (KBL GT2)", False),
    ],
)
def test_software_renderers_are_recognised_by_name(gl_renderer, expected):
    """GL_RENDERER identifies drivers that draw on the CPU."""
    assert is_software(gl_renderer) == expected


def test_listing_devices_never_fails():
    """With or without EGL the result is a list of device numbers, and the same list in a second call."""
    devices = hardware_devices()

    assert devices == sorted(set(devices)) == hardware_devices()
    assert all(device >= 0 for device in devices)
