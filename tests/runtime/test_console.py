"""Output of a command: results and log."""

import logging

import pytest

from featurelib.runtime.console import OutputOptions, print_result, set_output_options


@pytest.mark.parametrize(
    ("options", "values", "printed"),
    [
        (OutputOptions(), {"count": 2}, "two\n"),
        (OutputOptions(json=True), {"count": 2}, '{"count": 2}\n'),
        (OutputOptions(json=True), None, "two\n"),
    ],
)
def test_results_are_text_or_json(capsys, options, values, printed):
    """A result without values, such as a table of a benchmark, is text in both modes."""
    set_output_options(options)
    print_result("two", values)

    assert capsys.readouterr() == (printed, "")


@pytest.mark.parametrize("name", ["featurelib.meshes", "jobs.drivers.render", "serve.server", "__main__"])
@pytest.mark.parametrize(("quiet", "shown"), [(False, "note\nwarning\nerror\n"), (True, "error\n")])
def test_the_log_goes_to_stderr_once(capsys, name, quiet, shown):
    """A command prints each message without decoration; --quiet leaves only errors."""
    set_output_options(OutputOptions(quiet=quiet))
    logger = logging.getLogger(name)
    logger.info("note")
    logger.warning("warning")
    logger.error("error")

    assert capsys.readouterr() == ("", shown)
