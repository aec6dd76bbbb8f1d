"""The door for `pointsman` and `python -m pointsman`: an interrupt ends in one line, also while the tool is loaded."""

import signal
import sys


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        from pointsman.streams import prepare

        prepare()
        from pointsman.cli.main import main

        code = main()
    except KeyboardInterrupt:
        sys.stderr.write("pointsman: interrupted\n")
        code = 130  # 128 + SIGINT
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own end has nothing to say of an interrupt
    sys.exit(code)


if __name__ == "__main__":
    run()
