"""`compare completion`: shell completion."""

import click

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "compare"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the lines that make a shell complete commands, options and files.

    \b
    eval "$(compare completion bash)"      in ~/.bashrc
    eval "$(compare completion zsh)"       in ~/.zshrc
    compare completion fish > ~/.config/fish/completions/compare.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"{shell} is not known")
    click.echo(completer(context.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
