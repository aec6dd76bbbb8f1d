"""The door for `pointsman` and `python -m pointsman`: an interrupt ends in one line, also while the tool is loaded."""

import gc
import signal
import sys

# Objects between two looks for cycles. With the 700 of Python they take a fifth of a short command, and find nothing:
# what modules hold stays. So many cost some 10 MB at most.
_OBJECTS = 50_000


def run() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_OBJECTS)
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
    gc.freeze()  # its end would look through all objects for cycles twice, which takes a tenth of a short command
    sys.exit(code)


if __name__ == "__main__":
    run()
