from xml.etree import ElementTree

from jobs.bench.memory_plot import memory_plot


def test_the_plot_names_every_role():
    """It is a complete SVG file with the name of each role, and its peaks as text."""
    svg = memory_plot(
        (2000, 40_000), [{"data worker": 260.0, "driver": 180.0}, {"data worker": 270.0, "driver": 181.0}]
    )

    root = ElementTree.fromstring(svg)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"data worker", "driver"} <= set(texts)
    assert "data worker 260 to 270 MB" in svg
