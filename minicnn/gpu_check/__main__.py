"""The command; see the package."""

from __future__ import annotations

import pathlib
import sys

import click

from .. import gpu_check
from ..device import check_device
from ..errors import DeviceError, FileError
from ..files import writing


@click.command(help=gpu_check.__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--device", type=click.Choice(["cuda", "sim"]), default="cuda", show_default=True)
@click.option("--quick", is_flag=True, help="Fewer launch sizes, networks and rounds: half a minute.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=pathlib.Path), help="Write the report here, too.")
def main(device: str, quick: bool, output: pathlib.Path | None) -> None:
    try:
        check_device(device)
        gpu_check.check_compiler(device)
        if output is not None:
            with writing(output):  # complain before the work, not after it
                output.touch()
    except (DeviceError, FileError) as error:
        click.echo(f"gpu_check: {error}", err=True)
        sys.exit(2)
    report = gpu_check.examine(device, quick, lambda text: click.echo(text, err=True))
    click.echo(str(report))
    if output is not None:
        output.write_text(str(report), encoding="utf-8")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
